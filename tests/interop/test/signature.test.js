// X-Twilio-Signature: what the lab signs and what the service checks, judged by Twilio's own library.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { parse as parseForm } from 'node:querystring';
import { after, describe, it } from 'node:test';

import twilio from 'twilio';
import webhooks from 'twilio/lib/webhooks/webhooks.js';

import { Random, asParameters } from '../support/random.js';
import { Rust } from '../support/rust.js';

const { getExpectedTwilioSignature, validateRequest, validateRequestWithBody, webhook } = webhooks;

const TOKEN = '12345';
const REQUESTS = 600;

const HOST = /:\/\/(\[[^\]]*\]|[^:/?]*)/;

const CALL = [
  ['CallSid', 'CA1234567890ABCDE'],
  ['Caller', '+14158675310'],
  ['Digits', '1234'],
  ['From', '+14158675310'],
  ['To', '+18005551212'],
];
const CLASSIC = CALL.map(([name, value]) => [name, value === '+14158675310' ? '+14158675309' : value]);

const REPEATED = [
  ['A', 'b'],
  ['A', 'a'],
  ['A', 'b'],
  ['B', ''],
  ['a', 'z'],
];

/** Known signatures under TOKEN; the second is a test value of Twilio's library. */
const VECTORS = [
  ['https://example.com/myapp.php?foo=1&bar=2', CALL, 'L/OH5YylLD5NRKLltdqwSvS0BnU='],
  ['https://mycompany.com/myapp.php?foo=1&bar=2', CLASSIC, 'RSOYDt4T1cUTdK1PDd93/VVr8B8='],
  ['wss://example.com/twilio/media', [], 'Ko8aymfVk0cCegaxVKH0ZCvSyf4='],
  ['wss://example.com/twilio/media/', [], '2FSgdRajF1AcedC3OxeCdxXJk50='],
  ['https://example.com/voice', REPEATED, 'D+c7utzbQfs+/R8f5MyAcr7eXec='],
  ['https://example.com/voice', [['CallSid', 'CA1']], '7kudyaTQh+NyYH/ui/OOeke6ryw='],
  ['https://example.com:443/voice', [['CallSid', 'CA1']], '7VijVDHsP1z6B3VOCq3ax1HFxso='],
];

const rust = new Rust();
after(() => rust.stop());

const sign = (requests) => rust.ask('sign', { token: TOKEN, requests });
const check = (requests, tokens = [TOKEN]) => rust.ask('check', { tokens, requests });

function requests(seed, schemes, form) {
  const random = new Random(seed);
  return Array.from({ length: REQUESTS }, () => ({ url: random.url(schemes), form: form(random) }));
}

const webhookRequests = (seed) => requests(seed, ['https', 'http'], (random) => random.form());
const handshakes = (seed) => requests(seed, ['wss', 'ws'], () => []);

describe('what the lab signs', () => {
  it('is what Twilio signs, on known vectors', async () => {
    assert.deepEqual(
      await sign(VECTORS.map(([url, form]) => ({ url, form }))),
      VECTORS.map(([, , signature]) => signature),
    );
  });

  it("is what Twilio's library accepts and would sign itself", async () => {
    for (const list of [webhookRequests(1), handshakes(2)]) {
      const signatures = await sign(list);
      for (const [n, { url, form }] of list.entries()) {
        const told = JSON.stringify({ url, form });
        const parameters = asParameters(form);
        assert.equal(signatures[n], getExpectedTwilioSignature(TOKEN, url, parameters), told);
        assert.ok(validateRequest(TOKEN, signatures[n], url, parameters), told);
        assert.ok(twilio.validateRequest(TOKEN, signatures[n], url, parameters), told);
        assert.ok(!validateRequest('54321', signatures[n], url, parameters), told);
      }
    }
  });

  it("is what Twilio's library accepts for a body of JSON", async () => {
    const random = new Random(3);
    const bodies = Array.from({ length: 100 }, () => JSON.stringify({ a: random.text(40) }));
    bodies.push('{"CallSid":"CA1234567890ABCDE","Caller":"+12349013030"}');
    const urls = bodies.map((body) => {
      const url = new URL(random.url(['https']));
      url.searchParams.append('bodySHA256', createHash('sha256').update(body).digest('hex'));
      return url.toString();
    });
    assert.match(urls.at(-1), /5ccde7145dfb8f56479710896586cb9d5911809d83afbe34627818790db0aec9/);
    const signatures = await sign(urls.map((url) => ({ url, form: [] })));
    for (const [n, url] of urls.entries()) {
      assert.ok(validateRequestWithBody(TOKEN, signatures[n], url, bodies[n]), url);
      assert.ok(!validateRequestWithBody(TOKEN, signatures[n], url, `${bodies[n]} `), url);
    }
  });

  it("passes Twilio's middleware, and what is changed or not signed does not", async () => {
    const url = 'https://calls.example.com/twiml?agent=a&language=de';
    const [signature] = await sign([{ url, form: CALL }]);
    const answered = (header, body) => passes(url, header, body);
    assert.equal(answered(signature, asParameters(CALL)), 'next');
    assert.equal(answered(signature, asParameters(CALL.slice(1))), 403);
    assert.equal(answered(`${signature.slice(0, -2)}A=`, asParameters(CALL)), 403);
    assert.equal(answered(undefined, asParameters(CALL)), 400);
  });
});

/** What Twilio's Express middleware does with a request: `next`, or the status that it answers. */
function passes(url, signature, body) {
  const { protocol, host, pathname, search } = new URL(url);
  const headers = { host, 'x-twilio-signature': signature };
  const request = {
    protocol: protocol.slice(0, -1),
    originalUrl: pathname + search,
    headers,
    header: (name) => headers[name.toLowerCase()],
    body,
  };
  let answer;
  const response = { type: () => response, status: (status) => ((answer = status), response), send: () => response };
  webhook(TOKEN)(request, response, () => (answer = 'next'));
  return answer;
}

describe('what the service accepts', () => {
  it('is what Twilio signs, on known vectors', async () => {
    const signed = VECTORS.map(([url, form, signature]) => ({ url, form, signature }));
    assert.deepEqual(await check(signed), VECTORS.map(() => true));
  });

  it("is what Twilio's library signs, under any of its tokens", async () => {
    for (const list of [webhookRequests(4), handshakes(5)]) {
      const signed = list.map(({ url, form }) => ({
        url,
        form,
        signature: getExpectedTwilioSignature(TOKEN, url, asParameters(form)),
      }));
      await assertAll(signed, true);
      await assertAll(signed, true, ['new', TOKEN]);
      await assertAll(signed, false, ['new', 'old']);
    }
  });

  it("is under every form of the URL that Twilio's library tries", async () => {
    const forms = [];
    for (const { url, form } of [...webhookRequests(6), ...handshakes(7)]) {
      for (const signedUrl of formsOf(url)) {
        const signature = getExpectedTwilioSignature(TOKEN, signedUrl, asParameters(form));
        if (validateRequest(TOKEN, signature, url, asParameters(form))) forms.push({ url, form, signature, signedUrl });
      }
    }
    assert.ok(forms.length > 4 * REQUESTS);
    await assertAll(forms, true);
  });

  it('is nothing that was changed on its way', async () => {
    const changes = {
      'another path': ({ url, ...rest }) => ({ ...rest, url: url.replace(/(:\/\/[^/?]*)/, '$1/x') }),
      'another host': ({ url, ...rest }) => ({ ...rest, url: url.replace(HOST, '://other.example') }),
      'another query': ({ url, ...rest }) => ({ ...rest, url: url.includes('?') ? `${url}&x=1` : `${url}?x=1` }),
      'one parameter more': ({ form, ...rest }) => ({ ...rest, form: [...form, ['~', '']] }),
      'one parameter less': ({ form, ...rest }) => ({ ...rest, form: without(form) }),
      'another value': ({ form, ...rest }) => ({ ...rest, form: form.map(([name, value]) => [name, `${value}1`]) }),
      'another signature': ({ signature, ...rest }) => ({ ...rest, signature: flipped(signature) }),
      'no signature': (request) => ({ ...request, signature: '' }),
      'half of one': ({ signature, ...rest }) => ({ ...rest, signature: signature.slice(0, 12) }),
    };
    const signed = webhookRequests(8)
      .map(({ url, form }) => ({ url, form, signature: getExpectedTwilioSignature(TOKEN, url, asParameters(form)) }))
      .filter(({ form }) => form.length > 0);
    for (const [what, change] of Object.entries(changes)) {
      const changed = signed.map(change);
      for (const { url, form, signature } of changed) {
        assert.ok(!validateRequest(TOKEN, signature, url, asParameters(form)), `${what}: Twilio's library refuses`);
      }
      await assertAll(changed, false);
    }
  });

  async function assertAll(signed, expected, tokens) {
    const answers = await check(signed, tokens);
    const wrong = answers.findIndex((answer) => answer !== expected);
    assert.equal(wrong, -1, wrong === -1 ? '' : `${JSON.stringify(signed[wrong])} is ${answers[wrong]}`);
  }
});

/** A form without one name, which is then another form whatever was repeated. */
function without(form) {
  return form.filter(([name]) => name !== form[0][0]);
}

function flipped(signature) {
  return (signature[3] === 'A' ? 'B' : 'A').padStart(4, signature) + signature.slice(4);
}

/** A URL as it may have been signed: with its port, without, with the standard one, escaped by a browser's rules. */
function formsOf(url) {
  const [, scheme, host, port, rest] = /^(\w+:\/\/)(\[[^\]]*\]|[^:/?]*)(:\d+)?(.*)$/.exec(url);
  const standard = scheme === 'https://' ? ':443' : ':80';
  const forms = [url, scheme + host + rest, scheme + host + (port ?? standard) + rest];
  const escaped = new URL(url).toString();
  forms.push(escaped);
  if (escaped.includes('?')) {
    const [path, query] = [escaped.slice(0, escaped.indexOf('?')), escaped.slice(escaped.indexOf('?') + 1)];
    const encoded = Object.entries(parseForm(query)).flatMap(([name, values]) =>
      [values].flat().map((value) => `${encode(name)}=${encode(value)}`),
    );
    forms.push(`${path}?${encoded.join('&')}`);
  }
  return [...new Set(forms)];
}

/** As Node's `querystring` does it. */
function encode(text) {
  return encodeURIComponent(text);
}
