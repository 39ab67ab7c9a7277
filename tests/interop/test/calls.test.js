// Calls of the lab's Twilio at a server made with Twilio's library, and its REST API asked by Twilio's client.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { parse } from 'node:querystring';
import { after, before, describe, it } from 'node:test';

import twilio from 'twilio';
import webhooks from 'twilio/lib/webhooks/webhooks.js';

import { accept } from '../support/http.js';
import { restClient } from '../support/rest.js';
import { Rust } from '../support/rust.js';

const { VoiceResponse } = twilio.twiml;
const { validateRequest, webhook } = webhooks;

const TOKEN = 'the-token-of-the-calls';
const FROM = '+15550100 "é" & <x>';

const rust = new Rust();
after(() => rust.stop());

/**
 * A server such as Twilio's customers write: each path has a TwiML document; requests that Twilio's middleware does not
 * pass are counted. `socket` decides over a media socket's handshake: its answer is sent back.
 */
async function serveCustomer(documents, socket) {
  const passed = [];
  const refused = [];
  const check = webhook(TOKEN);
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += piece;
    const body = parse(text);
    const asExpress = {
      protocol: 'http',
      headers: request.headers,
      originalUrl: request.url,
      header: (name) => request.headers[name.toLowerCase()],
      body,
    };
    const asExpressAnswers = {
      type: () => asExpressAnswers,
      status: (status) => ((response.statusCode = status), asExpressAnswers),
      send: (text) => {
        refused.push({ url: request.url, text });
        response.end(text);
      },
    };
    check(asExpress, asExpressAnswers, async () => {
      passed.push({ url: request.url, method: request.method, headers: request.headers, body });
      const document = await documents(request.url, body);
      response.setHeader('content-type', 'text/xml');
      response.end(document.toString());
    });
  });
  server.on('upgrade', (request, stream) => {
    stream.on('error', () => {});
    const url = `ws://${request.headers.host}${request.url}`;
    const isSigned = validateRequest(TOKEN, request.headers['x-twilio-signature'], url, {});
    passed.push({ url: request.url, isSigned });
    socket(request, stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const stop = () => (server.closeAllConnections(), server.close());
  return { url: `http://127.0.0.1:${port}`, sockets: `ws://127.0.0.1:${port}`, passed, refused, stop };
}

describe("a call of the lab's Twilio", () => {
  let rest;
  let client;
  before(async () => {
    rest = await rust.ask('twilio', { token: TOKEN });
    client = restClient(rest.accountSid, TOKEN, rest.restUrl);
  });

  const call = (voiceUrl) => rust.ask('call', { voiceUrl, from: FROM, say: [], patienceMs: 2000 });

  it("is signed throughout, and follows what Twilio's library wrote", async () => {
    const documents = (path) => {
      const response = new VoiceResponse();
      if (path.startsWith('/voice')) {
        const stream = response
          .connect({ action: `${customer.url}/ended?state=a%20b&x=1`, method: 'POST' })
          .stream({ url: `${customer.sockets}/media/ticket.1` });
        stream.parameter({ name: 'shop', value: '"north" & <south>' });
      } else if (path.startsWith('/ended')) {
        response.say('One moment.');
        response.redirect({ method: 'POST' }, `${customer.url}/next?a=1&b=2`);
      } else {
        response.hangup();
      }
      return response;
    };
    const customer = await serveCustomer(documents, (_, stream) => stream.end('HTTP/1.1 403 Forbidden\r\n\r\n'));
    after(() => customer.stop());
    const { callSid, events } = await call(`${customer.url}/voice?shop=a%2Cb&x='`);
    assert.deepEqual(customer.refused, []);
    assert.deepEqual(
      customer.passed.map(({ url }) => url),
      ["/voice?shop=a%2Cb&x='", '/media/ticket.1', '/ended?state=a%20b&x=1', '/next?a=1&b=2'],
    );
    assert.ok(customer.passed[1].isSigned, "the handshake's signature");
    const { method, headers, body } = customer.passed[0];
    assert.equal(method, 'POST');
    assert.match(headers['content-type'], /^application\/x-www-form-urlencoded/);
    assert.equal(body.From, FROM);
    assert.equal(body.CallSid, callSid);
    assert.match(callSid, /^CA[0-9a-f]{32}$/);
    assert.match(body.AccountSid, /^AC[0-9a-f]{32}$/);
    assert.ok(events.some((event) => event.startsWith('StreamRefused')), events.join('\n'));
    assert.equal(events.at(-1), 'Ended { by: "twiml" }');
  });

  it("is queued as Twilio's library writes it", async () => {
    const customer = await serveCustomer(() => {
      const response = new VoiceResponse();
      response.enqueue({ workflowSid: 'WW0123' }).task({}, JSON.stringify({ skill: 'cakes & "pies"' }));
      return response;
    });
    after(() => customer.stop());
    const { events } = await call(`${customer.url}/voice`);
    const attributes = JSON.stringify(JSON.stringify({ skill: 'cakes & "pies"' }));
    const queued = `Enqueued { workflow_sid: Some("WW0123"), queue: None, attributes: ${attributes} }`;
    assert.ok(events.includes(queued), events.join('\n'));
    assert.equal(events.at(-1), 'Ended { by: "the queue" }');
  });

  it("is fetched and updated by Twilio's client, and refused with Twilio's errors", async () => {
    const seen = {};
    const customer = await serveCustomer(
      async (path, { CallSid }) => {
        const response = new VoiceResponse();
        if (path === '/voice') {
          seen.fetched = await client.calls(CallSid).fetch();
          response.connect().stream({ url: `${customer.sockets}/media/x` });
        }
        return response;
      },
      (request, stream) => {
        stream.write(accept(request.headers['sec-websocket-key']));
        const twiml = new VoiceResponse();
        twiml.say('It was <updated> & "heard".');
        twiml.hangup();
        seen.updated = client.calls(seen.fetched.sid).update({ twiml });
      },
    );
    after(() => customer.stop());
    const { callSid, events } = await call(`${customer.url}/voice`);
    assert.deepEqual([seen.fetched.sid, seen.fetched.status], [callSid, 'in-progress']);
    assert.equal((await seen.updated).status, 'in-progress');
    assert.ok(events.includes('Updated'), events.join('\n'));
    assert.ok(events.includes('Said { text: "It was <updated> & \\"heard\\"." }'), events.join('\n'));

    const twiml = new VoiceResponse().toString();
    const refused = (promise, status, code) =>
      assert.rejects(promise, (error) => {
        assert.deepEqual([error.constructor.name, error.status, error.code], ['RestException', status, code]);
        assert.ok(error.message.length > 0 && error.moreInfo.includes(String(code)));
        return true;
      });
    await refused(client.calls(callSid).fetch(), 404, 20404);
    await refused(client.calls(callSid).update({ twiml }), 400, 21220);
    await refused(client.calls(callSid).update({ twiml: `<Response>${'x'.repeat(4000)}</Response>` }), 400, 32018);
    await refused(restClient(rest.accountSid, 'wrong', rest.restUrl).calls(callSid).fetch(), 401, 20003);
  });
});
