// The running service, over TCP, asked as Twilio asks it; the signatures are those of Twilio's own library.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import twilio from 'twilio';
import webhooks from 'twilio/lib/webhooks/webhooks.js';

import { ACCEPT, handshake, post, send } from '../support/http.js';
import { Random, asParameters } from '../support/random.js';
import { Rust } from '../support/rust.js';
import { tree } from '../support/xml.js';

const { VoiceResponse } = twilio.twiml;
const { getExpectedTwilioSignature } = webhooks;

const [NEW, OLD] = ['the-new-token', 'the-old-token'];
const PUBLIC = 'https://calls.example.com';
const SOCKETS = 'wss://calls.example.com';
const CALL = 'CA0123456789abcdef0123456789abcdef';
const FORM = [
  ['AccountSid', 'AC0123456789abcdef0123456789abcdef'],
  ['CallSid', CALL],
  ['CallStatus', 'ringing'],
  ['From', '+15550100'],
  ['To', '+15550199'],
];

const sign = (url, form = [], token = NEW) => getExpectedTwilioSignature(token, url, asParameters(form));

const rust = new Rust();
after(() => rust.stop());

/** What must be in a document that streams the call, built by Twilio's library; the URLs are those of the document. */
function streaming(xml, parameters) {
  const [connect] = tree(xml).children;
  const response = new VoiceResponse();
  const { action } = connect.attributes;
  const { url } = connect.children[0].attributes;
  const stream = response.connect({ action, method: 'POST' }).stream({ url, statusCallback: `${PUBLIC}/stream-status` });
  for (const [name, value] of parameters) stream.parameter({ name, value });
  response.say({ language: 'en-US' }, 'We are sorry, the connection was lost. Please call again.');
  response.hangup();
  assert.deepEqual(tree(xml), tree(response.toString()));
  assert.ok(action.startsWith(`${PUBLIC}/connect-ended?`) && /[?&]s=[\w.-]+$/.test(action), action);
  assert.match(url, /^wss:\/\/calls\.example\.com\/media\/[\w.-]+$/, 'a ticket without a query');
  return { action: action.slice(PUBLIC.length), media: url.slice(SOCKETS.length) };
}

const NUMBERS = [
  ['from', '+15550100'],
  ['to', '+15550199'],
];

describe('the service', () => {
  let port;
  let behind;
  before(async () => {
    const { port: agentPort } = await rust.ask('agent');
    const agent = 'projects/lab/locations/global/agents/lab';
    const token = `${NEW},${OLD}`;
    ({ port } = await rust.ask('service', { agentPort, agent, token, publicUrl: PUBLIC }));
    ({ port: behind } = await rust.ask('service', { agentPort, agent, token }));
  });

  const voice = async (path = '/twiml', form = FORM) => post(port, path, form, sign(PUBLIC + path, form));

  async function opened(form = FORM) {
    const { status, body } = await voice('/twiml', form);
    assert.equal(status, 200);
    return streaming(body, NUMBERS);
  }

  it('answers a signed voice webhook with TwiML', async () => {
    const { status, headers, body } = await voice();
    assert.equal(status, 200);
    assert.match(headers['content-type'], /^text\/xml\b/);
    streaming(body, NUMBERS);
  });

  it('answers a signed GET, whose parameters are in the URL', async () => {
    const path = `/twiml?${new URLSearchParams(FORM)}`;
    const { status, body } = await send(port, 'GET', path, { 'x-twilio-signature': sign(PUBLIC + path) });
    assert.equal(status, 200);
    streaming(body, NUMBERS);
  });

  it("takes the signature of any of its tokens, and with the port that Twilio's library tries", async () => {
    for (const signature of [
      sign(`${PUBLIC}/twiml`, FORM, OLD),
      sign(`${PUBLIC}:443/twiml`, FORM),
    ]) {
      assert.equal((await post(port, '/twiml', FORM, signature)).status, 200);
    }
  });

  it('refuses what is not signed, and says nothing', async () => {
    const wrong = {
      'no signature': undefined,
      'an empty one': '',
      'no base64': 'nonsense',
      "another token's": sign(`${PUBLIC}/twiml`, FORM, 'another'),
      'of another URL': sign(`${PUBLIC}/twiml/`, FORM),
      'of http': sign(PUBLIC.replace('https', 'http') + '/twiml', FORM),
      'of other parameters': sign(`${PUBLIC}/twiml`, FORM.slice(1)),
      'of the URL only': sign(`${PUBLIC}/twiml`),
      'with a byte more': `${sign(`${PUBLIC}/twiml`, FORM)}A`,
    };
    for (const [what, signature] of Object.entries(wrong)) {
      const { status, body } = await post(port, '/twiml', FORM, signature);
      assert.deepEqual([status, body], [403, ''], what);
    }
    assert.equal((await send(port, 'GET', `/twiml?${new URLSearchParams(FORM)}`)).status, 403);
  });

  it('reads every form as Twilio signs it', async () => {
    const random = new Random(11);
    for (let n = 0; n < 200; n += 1) {
      const form = [...FORM, ...random.form().filter(([name]) => !FORM.some(([other]) => other === name))];
      const told = JSON.stringify(form);
      // An ErrorCode says that this is the number's fallback URL, which changes nothing in the document.
      const { status, body } = await voice('/twiml', form);
      assert.equal(status, 200, told);
      streaming(body, NUMBERS);
      assert.equal((await post(port, '/twiml', form, sign(`${PUBLIC}/twiml`, [...form, ['~', '']]))).status, 403, told);
    }
  });

  it('hands on what Twilio says of the caller, whatever it is', async () => {
    for (const from of ['sip:"a" <b>&\'c\'@example.com', 'client:é ß 中', 'anonymous', '+1 555', '']) {
      const form = FORM.map(([name, value]) => [name, name === 'From' ? from : value]);
      const { body } = await voice('/twiml', form);
      streaming(body, [['from', from], NUMBERS[1]]);
    }
  });

  it("takes a query as it comes and as Twilio's library also signs it", async () => {
    const path = "/twiml?param.name=O'Brien+sons&param.shop=%3Cnorth%3E";
    const parameters = [...NUMBERS, ['param.name', "O'Brien sons"], ['param.shop', '<north>']];
    for (const signed of [path, path.replace("'", '%27'), path.replace('+', '%20')]) {
      const { status, body } = await post(port, path, FORM, sign(PUBLIC + signed, FORM));
      assert.equal(status, 200, signed);
      streaming(body, parameters);
    }
    assert.equal((await post(port, path, FORM, sign(PUBLIC + path.replace('north', 'south'), FORM))).status, 403);
  });

  it('opens the media socket for a handshake signed over the wss URL', async () => {
    const { media } = await opened();
    const { status, headers } = await handshake(port, media, sign(SOCKETS + media));
    assert.equal(status, 101);
    assert.equal(headers['sec-websocket-accept'], ACCEPT);
    assert.equal(headers.upgrade.toLowerCase(), 'websocket');
    assert.equal((await handshake(port, media, sign(SOCKETS + media))).status, 403, 'the same ticket twice');
  });

  it("takes the handshake's signature with a slash or a port more", async () => {
    for (const url of [(media) => `${SOCKETS}${media}/`, (media) => `${SOCKETS}:80${media}`]) {
      const { media } = await opened();
      assert.equal((await handshake(port, media, sign(url(media)))).status, 101, url(media));
    }
  });

  it('refuses a handshake that is not signed over the wss URL', async () => {
    const { media } = await opened();
    for (const signature of [
      undefined,
      'nonsense',
      sign(PUBLIC + media),
      sign(`${SOCKETS}/media/`),
      sign(SOCKETS + media, [], 'another'),
      sign(SOCKETS + media, FORM),
    ]) {
      const { status, body } = await handshake(port, media, signature);
      assert.deepEqual([status, body], [403, ''], signature);
    }
    const forged = `${media.slice(0, -1)}${media.endsWith('A') ? 'B' : 'A'}`;
    assert.equal((await handshake(port, forged, sign(SOCKETS + forged))).status, 403, 'a ticket that is not ours');
    assert.equal((await handshake(port, media, sign(SOCKETS + media))).status, 101, 'the ticket is not used up');
  });

  it('goes on, or ends, when the stream has ended', async () => {
    const { action } = await opened();
    const asked = (status) => {
      const form = FORM.map(([name, value]) => [name, name === 'CallStatus' ? status : value]);
      return post(port, action, form, sign(PUBLIC + action, form));
    };
    const over = await asked('completed');
    assert.equal(over.status, 200);
    assert.deepEqual(tree(over.body), tree(new VoiceResponse().toString()));
    const resumed = await asked('in-progress');
    assert.equal(resumed.status, 200);
    streaming(resumed.body, NUMBERS);
    assert.equal((await post(port, action, FORM, sign(`${PUBLIC}/connect-ended`, FORM))).status, 403);
  });

  it('behind a front end takes the URL that the front end forwards', async () => {
    const headers = { host: 'calls.example.com', 'x-forwarded-proto': 'https' };
    const { status, body } = await post(behind, '/twiml', FORM, sign(`${PUBLIC}/twiml`, FORM), headers);
    assert.equal(status, 200);
    const { media } = streaming(body, NUMBERS);
    assert.equal((await handshake(behind, media, sign(PUBLIC + media), headers)).status, 403);
    assert.equal((await handshake(behind, media, sign(SOCKETS + media), headers)).status, 101);
    // A front end may say nothing. Twilio opens media streams with TLS only.
    const silent = { host: 'calls.example.com' };
    const told = await post(behind, '/twiml', FORM, sign(`${PUBLIC}/twiml`, FORM), silent);
    assert.equal(told.status, 200);
    streaming(told.body, NUMBERS);
    const other = { host: 'other.example.com', 'x-forwarded-proto': 'https' };
    assert.equal((await post(behind, '/twiml', FORM, sign(`${PUBLIC}/twiml`, FORM), other)).status, 403);
  });
});
