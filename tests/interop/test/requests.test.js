// What the service sends: to an agent made of Google's own messages; and to Twilio's REST API, beside Twilio's client.

import assert from 'node:assert/strict';
import { parse } from 'node:querystring';
import { after, describe, it } from 'node:test';

import { grpc } from 'google-gax';
import twilio from 'twilio';

import { serveAgent } from '../support/agent.js';
import { EDITIONS, plain } from '../support/dialogflow.js';
import { restClient, serveProxy } from '../support/rest.js';
import { Rust } from '../support/rust.js';
import { recording } from '../support/wav.js';
import { tree } from '../support/xml.js';

const TOKEN = 'the-token-of-the-requests';
const FROM = '+15550100';

const rust = new Rust();
after(() => rust.stop());

/** Names of the fields that are set. */
const fields = (message) => Object.keys(message).filter((name) => message[name] !== undefined);

describe('a call at an agent that refuses', () => {
  for (const status of ['INVALID_ARGUMENT', 'NOT_FOUND', 'PERMISSION_DENIED']) {
    it(`with ${status} is handed on as failed, after one attempt`, async () => {
      const agent = await serveAgent(EDITIONS.cx, grpc.status[status]);
      after(() => agent.stop());
      const rest = await rust.ask('twilio', { token: TOKEN });
      const { port } = await rust.ask('service', {
        agentPort: agent.port,
        agent: EDITIONS.cx.agent,
        token: TOKEN,
        accountSid: rest.accountSid,
        apiUrl: rest.restUrl,
        endUrl: `${rest.restUrl}/handoff`,
      });
      const call = await rust.ask('call', { voiceUrl: `http://127.0.0.1:${port}/twiml`, say: [], patienceMs: 8000 });
      assert.match(call.events.join('\n'), /Redirected \{ url: "[^"]*\/handoff\?[^"]*VirtualAgentStatus=failed/);
      assert.equal(agent.turns.length, 1, 'what would be refused again is not tried again');
    });
  }
});

for (const [name, edition] of Object.entries(EDITIONS)) {
  describe(`a call at an agent of ${name}`, async () => {
    let agent;
    let proxy;
    let rest;
    let call;
    let started;

    // One call, which every test below looks at.
    const called = async () => {
      agent = await serveAgent(edition);
      rest = await rust.ask('twilio', { token: TOKEN });
      proxy = await serveProxy(rest.restUrl);
      const { port } = await rust.ask('service', {
        agentPort: agent.port,
        agent: edition.agent,
        esApi: name === 'cx' ? undefined : name,
        event: 'WELCOME',
        token: TOKEN,
        accountSid: rest.accountSid,
        apiUrl: proxy.url,
        endUrl: `${rest.restUrl}/handoff`,
      });
      const voiceUrl = `http://127.0.0.1:${port}/twiml?language=de&page=flows%2FF%2Fpages%2FP&param.shop=north&user.plan=gold`;
      call = await rust.ask('call', { voiceUrl, from: FROM, say: ['order.wav'], patienceMs: 3000 });
    };
    const once = () => (started ??= called());
    after(() => {
      agent?.stop();
      proxy?.stop();
    });

    it('goes through to the hand-off', async () => {
      await once();
      const told = call.events.join('\n');
      assert.deepEqual(agent.faults, []);
      assert.ok(call.events.includes('Updated'), told);
      assert.match(told, /Redirected \{ url: "[^"]*\/handoff\?dialogflowJSON=[^"]*VirtualAgentStatus=completed/);
      assert.ok(!told.includes('Warning'), told);
      assert.ok(call.heardMs >= 700, `both answers were heard: ${call.heardMs} ms`);
    });

    it("begins with the event, in the call's session and language, and asks for the telephone's audio", async () => {
      await once();
      const [{ messages, headers, halfClosed }] = agent.turns;
      assert.ok(halfClosed);
      assert.equal(messages.length, 1);
      const [{ session, queryInput, queryParams, outputAudioConfig, outputAudioConfigMask }] = messages;
      assert.equal(session, `${edition.agent}/sessions/${call.callSid}`);
      assert.equal(queryInput.input, 'event');
      assert.deepEqual(fields(outputAudioConfig), ['audioEncoding', 'sampleRateHertz'], 'no voice of ours');
      assert.equal(outputAudioConfig.audioEncoding, 'OUTPUT_AUDIO_ENCODING_MULAW');
      assert.equal(outputAudioConfig.sampleRateHertz, 8000);
      assert.equal(plain(queryParams.payload).telephony.caller_id, FROM);
      if (name === 'cx') {
        assert.equal(queryInput.event.event, 'WELCOME');
        assert.equal(queryInput.languageCode, 'de');
        assert.equal(plain(queryParams.parameters).shop, 'north');
        assert.equal(queryParams.currentPage, `${edition.agent}/flows/F/pages/P`);
        assert.equal(plain(queryParams.endUserMetadata).plan, 'gold');
      } else {
        assert.equal(queryInput.event.name, 'WELCOME');
        assert.equal(queryInput.event.languageCode, 'de');
        assert.equal(plain(queryInput.event.parameters).shop, 'north');
        assert.deepEqual(outputAudioConfigMask.paths, ['audio_encoding', 'sample_rate_hertz']);
      }
      assert.equal(headers.authorization, undefined, 'no credentials go over a plain connection');
    });

    it('then listens: configuration, then audio only, then the half-close after the end of the utterance', async () => {
      await once();
      const turn = agent.turns.find(({ isOver }) => isOver);
      assert.ok(turn.halfClosed);
      const [first, ...later] = turn.messages;
      assert.equal(first.session, `${edition.agent}/sessions/${call.callSid}`);
      const { queryInput } = first;
      const config = name === 'cx' ? queryInput.audio.config : queryInput.audioConfig;
      assert.equal(config.audioEncoding, 'AUDIO_ENCODING_MULAW');
      assert.equal(config.sampleRateHertz, 8000);
      assert.equal(config.singleUtterance, true);
      assert.equal(name === 'cx' ? queryInput.languageCode : config.languageCode, 'de');
      if (name === 'v2') assert.ok(!('bargeInConfig' in config));
      else assert.ok(config.bargeInConfig, 'the prompt plays on while the turn listens');
      const audio = later.map((message) => {
        assert.deepEqual(fields(message), name === 'cx' ? ['queryInput'] : ['inputAudio']);
        if (name !== 'cx') return message.inputAudio;
        assert.deepEqual(fields(message.queryInput), ['audio', 'input']);
        assert.deepEqual(fields(message.queryInput.audio), ['audio']);
        return message.queryInput.audio.audio;
      });
      assert.ok(audio.every((piece) => piece.length > 0));
      const said = Buffer.concat(audio);
      assert.notEqual(said.indexOf(recording('order.wav').subarray(0, 8000)), -1, 'the words arrive as they were said');
    });

    it("updates the call as Twilio's own client does", async () => {
      await once();
      const ours = proxy.requests.at(-1);
      const { Twiml: twiml, ...others } = parse(ours.body);
      assert.deepEqual(Object.keys(others), []);
      tree(twiml);
      const client = restClient(rest.accountSid, TOKEN, proxy.url);
      const refused = (error) => error.code === 21220;
      await assert.rejects(client.calls(call.callSid).update({ twiml: new twilio.twiml.VoiceResponse() }), refused);
      await assert.rejects(client.calls(call.callSid).update({ twiml }), refused);
      const theirs = proxy.requests.at(-1);
      assert.notEqual(theirs, ours);
      assert.deepEqual([ours.method, ours.url], [theirs.method, theirs.url]);
      assert.deepEqual({ ...parse(ours.body) }, { ...parse(theirs.body) });
      for (const header of ['authorization', 'content-type', 'accept']) {
        assert.equal(ours.headers[header], theirs.headers[header], header);
      }
    });
  });
}
