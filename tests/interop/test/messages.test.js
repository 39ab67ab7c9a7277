// What else an answer of the lab's agent carries, read by Google's own clients.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { EDITIONS, inSession, newClient, plain, turn } from '../support/dialogflow.js';
import { rawTurn, strictly } from '../support/raw.js';
import { Rust } from '../support/rust.js';
import { recording } from '../support/wav.js';

const INVALID_ARGUMENT = 3;
const FAILED_PRECONDITION = 9;

const SCRIPT = `
  word_times = true
  confidence = 0.5
  end_of_utterance_ms = 500
  [event.PAYLOAD]
  say = "a payload"
  payload = [{ dialbridge = { transfer = { to = "+15550123", timeout = 20 } } }, { other = [1, "two", true] }]
  [event.PLAY]
  say = "a recording"
  play = "gs://bucket/jingle.wav"
  protected = true
  [event.MIXED]
  mixed = [{ tone = { hz = 400, ms = 100 }, protected = true }, { uri = "https://example.com/music.wav" }]
  [event.TOOL]
  tool_call = { tool = "tools/1", action = "look-up" }
  [event.KEYS]
  dtmf = { finish_digit = "*", max_digits = 4, interdigit_ms = 1500 }
  [event.SUCCESS]
  success = true
  webhook_fault = "the webhook is down"
  [event.SPEECH]
  speech = "<speak>good morning</speak>"
  no_match = true
  webhook_fault = "the webhook is down"
  [[utterance]]
  heard = "two loaves please"
  say = "well, then"
`;

const rust = new Rust();
after(() => rust.stop());

for (const [name, edition] of Object.entries(EDITIONS)) {
  describe(`an answer, read by Google's client for ${name}`, () => {
    let port;
    let client;
    before(async () => {
      ({ port } = await rust.ask('agent', { script: SCRIPT }));
      client = newClient(edition, port);
    });
    after(() => client.close());

    const asked = async (session, input) => {
      const { responses } = await turn(client, edition, [inSession(edition, session, input)]);
      return edition.answer(responses[0]);
    };
    const event = (event) => asked(`event-${event}`, edition.event(event));
    const messages = ({ queryResult }) => queryResult.responseMessages ?? queryResult.fulfillmentMessages;
    const kinds = (answer) => messages(answer).map(({ message }) => message);

    it('has custom payloads', async () => {
      const answer = await event('PAYLOAD');
      assert.deepEqual(kinds(answer), ['text', 'payload', 'payload']);
      const [, ours, other] = messages(answer);
      assert.deepEqual(plain(ours.payload), { dialbridge: { transfer: { to: '+15550123', timeout: 20 } } });
      assert.deepEqual(plain(other.payload), { other: [1, 'two', true] });
    });

    it('has words with their times, for whom asks for them', async () => {
      const listen = edition.listen({ enableWordInfo: true });
      const speech = recording('order.wav');
      const { responses } = await turn(client, edition, [inSession(edition, 'words', listen)], { speech });
      const last = responses.map(({ recognitionResult }) => recognitionResult).find((result) => result?.isFinal);
      assert.equal(last.transcript, 'two loaves please');
      assert.deepEqual(last.speechWordInfo.map(({ word }) => word), ['two', 'loaves', 'please']);
      const offset = ({ seconds, nanos }) => Number(seconds) + nanos / 1e9;
      const times = last.speechWordInfo.flatMap(({ startOffset, endOffset }) => [offset(startOffset), offset(endOffset)]);
      assert.deepEqual(times, [...times].sort((a, b) => a - b));
      assert.ok(times.at(-1) <= offset(last.speechEndOffset));
      assert.equal(last.confidence, 0.5);
    });

    it('has no field that its edition does not know', async () => {
      for (const name of ['PAYLOAD', 'PLAY', 'MIXED', 'KEYS', 'SUCCESS', 'SPEECH', 'TOOL']) {
        const opening = [inSession(edition, `strict-${name}`, edition.event(name))];
        for (const bytes of await rawTurn(edition, port, opening)) {
          strictly(edition.protos.StreamingDetectIntentResponse, bytes);
        }
      }
    });

    if (name !== 'cx') {
      it('has messages for telephones in v2beta1 only', async () => {
        const telephone = name === 'v2beta1';
        const play = await event('PLAY');
        assert.deepEqual(kinds(play), telephone ? ['text', 'telephonyPlayAudio'] : ['text']);
        if (telephone) assert.equal(messages(play)[1].telephonyPlayAudio.audioUri, 'gs://bucket/jingle.wav');
        const speech = await event('SPEECH');
        assert.deepEqual(kinds(speech), telephone ? ['telephonySynthesizeSpeech'] : []);
        if (telephone) assert.equal(messages(speech)[0].telephonySynthesizeSpeech.ssml, '<speak>good morning</speak>');
        assert.equal(speech.queryResult.intent.isFallback, true);
        assert.equal(speech.webhookStatus.message, 'the webhook is down');
      });
      return;
    }

    it('has a recording that is to be played', async () => {
      const answer = await event('PLAY');
      assert.deepEqual(kinds(answer), ['text', 'playAudio']);
      const [text, play] = messages(answer);
      assert.equal(play.playAudio.audioUri, 'gs://bucket/jingle.wav');
      assert.deepEqual([text.text.allowPlaybackInterruption, play.playAudio.allowPlaybackInterruption], [false, false]);
    });

    it('has mixed audio', async () => {
      const answer = await event('MIXED');
      assert.deepEqual(kinds(answer), ['mixedAudio']);
      const [tone, music] = messages(answer)[0].mixedAudio.segments;
      assert.deepEqual([tone.content, tone.audio.length, tone.allowPlaybackInterruption], ['audio', 800, false]);
      assert.deepEqual([music.uri, music.allowPlaybackInterruption], ['https://example.com/music.wav', true]);
    });

    it('has a tool call, whose result must come next', async () => {
      const session = 'tool';
      const answer = await asked(session, edition.event('TOOL'));
      const { tool, action } = messages(answer)[0].toolCall;
      assert.deepEqual([tool, action], ['tools/1', 'look-up']);
      const refused = (input, code) => assert.rejects(asked(session, input), { code });
      await refused(edition.text('hello?'), FAILED_PRECONDITION);
      const result = (tool) => ({
        toolCallResult: { tool, action, error: { message: 'there are no tools here' } },
        languageCode: 'en',
      });
      await refused(result('tools/2'), INVALID_ARGUMENT);
      assert.deepEqual(edition.texts((await asked(session, result(tool))).queryResult), ['well, then']);
      await refused(result(tool), INVALID_ARGUMENT);
    });

    it('has rules for keys in its advanced settings', async () => {
      const { advancedSettings } = (await event('KEYS')).queryResult;
      const { enabled, maxDigits, finishDigit, interdigitTimeoutDuration } = advancedSettings.dtmfSettings;
      assert.deepEqual([enabled, maxDigits, finishDigit], [true, 4, '*']);
      assert.deepEqual([Number(interdigitTimeoutDuration.seconds), interdigitTimeoutDuration.nanos], [1, 500_000_000]);
      assert.equal((await event('PLAY')).queryResult.advancedSettings, null);
    });

    it('has success, and webhooks that failed', async () => {
      const answer = await event('SUCCESS');
      assert.deepEqual(kinds(answer), ['conversationSuccess']);
      assert.deepEqual(answer.queryResult.webhookStatuses.map(({ message }) => message), ['the webhook is down']);
    });
  });
}
