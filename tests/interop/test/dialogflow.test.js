// The lab's agent, asked by Google's own clients.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { EDITIONS, audioOf, first, inSession, newClient, plain, turn } from '../support/dialogflow.js';
import { rawTurn, strictly } from '../support/raw.js';
import { Rust } from '../support/rust.js';
import { mulawToLinear, readWav, recording } from '../support/wav.js';

const INVALID_ARGUMENT = 3;
const OUT_OF_RANGE = 11;
const UNIMPLEMENTED = 12;
const CANCELLED = 1;

/** An agent that knows one event, two utterances, digits and silence; its last answer ends the call. */
const SCRIPT = `
  end_of_utterance_ms = 500
  no_speech_ms = 1000
  [start]
  event = "WELCOME"
  say = "hello"
  intent = "welcome"
  tone = { hz = 400, ms = 200 }
  [[utterance]]
  say = "first"
  intent = "one"
  parameters = { loaves = 2, kinds = ["rye", true], size = { w = 1.5 } }
  tone = { hz = 500, ms = 100 }
  [[utterance]]
  say = "second"
  intent = "two"
  transfer = "+15550123"
  end = true
  tone = { hz = 500, ms = 100 }
  [digits.12]
  say = "twelve"
  intent = "digits"
  [no_input]
  say = "are you there?"
`;

const MINUTE = Buffer.alloc(480_000, 0xff);

const rust = new Rust();
after(() => rust.stop());

const agent = async (script) => (await rust.ask('agent', { script })).port;

const seconds = ({ seconds, nanos }) => Number(seconds) + nanos / 1e9;

for (const [name, edition] of Object.entries(EDITIONS)) {
  describe(`Google's client for ${name}`, () => {
    const clients = [];
    const connect = (port, options) => {
      const client = newClient(edition, port, options);
      clients.push(client);
      return client;
    };
    let client;
    let port;
    let bakery;
    before(async () => {
      port = await agent(SCRIPT);
      client = connect(port);
      bakery = connect(await agent());
    });
    after(() => Promise.all(clients.map((client) => client.close())));

    const ask = (messages, options) => turn(client, edition, messages, options);

    it('streams an utterance and gets results, the end, and the answer with its audio', async () => {
      const speech = recording('order.wav');
      const { responses, status, chunks } = await turn(bakery, edition, [first(edition, edition.listen())], {
        speech,
      });
      assert.equal(status.code, 0);

      const results = responses.map((response) => response.recognitionResult).filter(Boolean);
      const answers = responses.slice(results.length);
      assert.ok(answers.every(edition.answer), 'the answer comes after all results');
      const end = results.findIndex(({ messageType }) => messageType === 'END_OF_SINGLE_UTTERANCE');
      assert.equal(end, results.length - 1);
      const transcripts = results.slice(0, end);
      assert.ok(transcripts.length >= 3);
      assert.deepEqual(
        transcripts.map(({ isFinal }) => isFinal),
        transcripts.map((_, n) => n === end - 1),
        'one final transcript, the last',
      );
      for (const [n, result] of transcripts.entries()) {
        assert.equal(result.messageType, 'TRANSCRIPT');
        assert.match(result.transcript, /^\[\d\.\d s of speech\]$/);
        const at = seconds(result.speechEndOffset);
        assert.ok(at > 0 && at <= chunks / 10, 'inside what was sent');
        assert.ok(n === 0 || at >= seconds(transcripts[n - 1].speechEndOffset));
        if (edition.hasStability) assert.equal(result.stability > 0, !result.isFinal);
        else assert.ok(!('stability' in result));
      }
      const silence = chunks / 10 - seconds(transcripts.at(-1).speechEndOffset);
      assert.ok(silence >= 0.7, `the end comes after ${silence} s of silence`);
      const { transcript, isFinal, speechEndOffset, stability } = results[end];
      assert.deepEqual([transcript, isFinal, speechEndOffset, stability ?? 0], ['', false, null, 0]);

      const answer = edition.answer(answers[0]);
      const result = answer.queryResult;
      assert.ok(answer.responseId);
      assert.equal(edition.transcript(result), transcripts.at(-1).transcript);
      assert.equal(edition.intent(result).displayName, 'order.bread');
      assert.deepEqual(plain(result.parameters), { bread: 'rye', loaves: 2 });
      assert.match(edition.texts(result)[0], /^Two loaves of rye bread/);
      assert.equal(result.languageCode, 'en');
      const { audio, codings } = audioOf(edition, answers);
      assert.ok(codings.length >= 1);
      for (const coding of codings) {
        assert.equal(coding.audioEncoding, 'OUTPUT_AUDIO_ENCODING_MULAW');
        assert.equal(coding.sampleRateHertz, 8000);
      }
      assert.ok(audio.equals(recording('ordered.wav')), 'mu-law as asked for, and no header before it');
    });

    it('gets LINEAR16 with a WAV header at the rate that was asked for', async () => {
      const mulaw = recording('hello.wav');
      for (const [n, sampleRateHertz] of [8000, 16_000, 24_000, 0].entries()) {
        const outputAudioConfig = { audioEncoding: 'OUTPUT_AUDIO_ENCODING_LINEAR_16', sampleRateHertz };
        const message = inSession(edition, `wav-${n}`, edition.text('hi'), { outputAudioConfig });
        const { responses } = await turn(bakery, edition, [message]);
        const { audio, codings } = audioOf(edition, responses);
        const rate = sampleRateHertz || 24_000;
        assert.equal(codings[0].audioEncoding, 'OUTPUT_AUDIO_ENCODING_LINEAR_16');
        assert.equal(codings[0].sampleRateHertz, rate);
        const wav = readWav(audio);
        assert.deepEqual([wav.format, wav.channels, wav.rate, wav.bits], [1, 1, rate, 16]);
        assert.equal(wav.bytesPerSecond, 2 * rate);
        assert.equal(wav.riffSize, audio.length - 8, "the header's size is the file's");
        assert.equal(wav.dataSize, wav.data.length);
        assert.equal(wav.data.length, 2 * mulaw.length * (rate / 8000));
        if (rate === 8000) {
          const wrong = mulaw.findIndex((code, n) => mulawToLinear(code) !== wav.data.readInt16LE(2 * n));
          assert.equal(wrong, -1, 'every sample is the mu-law code read');
        }
      }
    });

    it('gets no audio where it asks for none', async () => {
      const { responses } = await ask([inSession(edition, 'mute', edition.text('hi'), { outputAudioConfig: null })]);
      assert.equal(responses.length, 1);
      assert.equal(audioOf(edition, responses).audio.length, 0);
      assert.equal(edition.answer(responses[0]).outputAudioConfig, null);
    });

    it('sends an event, known and unknown', async () => {
      const known = await ask([inSession(edition, 'event', edition.event('WELCOME'))]);
      const { queryResult } = edition.answer(known.responses[0]);
      assert.deepEqual(edition.texts(queryResult), ['hello']);
      assert.equal(audioOf(edition, known.responses).audio.length, 1600);
      const unknown = await ask([inSession(edition, 'event', edition.event('NO_SUCH_EVENT'))]);
      assert.equal(unknown.status.code, 0);
      assert.equal(unknown.responses.length, 1);
      assert.deepEqual(edition.texts(edition.answer(unknown.responses[0]).queryResult), []);
      assert.equal(audioOf(edition, unknown.responses).audio.length, 0);
      if (name === 'cx') {
        assert.equal(queryResult.triggerEvent, 'WELCOME');
        assert.deepEqual([queryResult.match.matchType, queryResult.match.event], ['EVENT', 'WELCOME']);
        assert.equal(queryResult.match.intent, null, 'only an INTENT match has an intent');
        assert.equal(edition.answer(unknown.responses[0]).queryResult.match.matchType, 'NO_MATCH');
      } else {
        assert.equal(queryResult.queryText, 'WELCOME');
        assert.equal(queryResult.intent.displayName, 'welcome');
      }
    });

    it('sends a text', async () => {
      const { responses } = await ask([inSession(edition, 'text', edition.text('good day'))]);
      const { queryResult } = edition.answer(responses[0]);
      assert.equal(edition.intent(queryResult).displayName, 'welcome');
      assert.equal(name === 'cx' ? queryResult.text : queryResult.queryText, 'good day');
    });

    it('gets parameters of every kind', async () => {
      const session = 'parameters';
      await ask([inSession(edition, session, edition.text('hi'))]);
      const { responses } = await ask([inSession(edition, session, edition.text('order'))]);
      const parameters = plain(edition.answer(responses[0]).queryResult.parameters);
      assert.deepEqual(parameters, { loaves: 2, kinds: ["rye", true], size: { w: 1.5 } });
    });

    it('has a response id of its own for every response', async () => {
      const ids = [];
      for (let n = 0; n < 3; n += 1) {
        const { responses } = await ask([inSession(edition, 'ids', edition.text('hi'))]);
        ids.push(edition.answer(responses[0]).responseId);
      }
      assert.equal(new Set(ids).size, 3, ids.join());
    });

    it('hears that nothing was said as an end without a transcript', async () => {
      const silence = Buffer.alloc(1, 0xff);
      const { responses } = await ask([inSession(edition, 'silent', edition.listen())], { speech: silence });
      assert.equal(responses[0].recognitionResult.messageType, 'END_OF_SINGLE_UTTERANCE');
      const { queryResult } = edition.answer(responses[1]);
      assert.deepEqual(edition.texts(queryResult), ['are you there?']);
      assert.equal(edition.transcript(queryResult), '');
      if (name === 'cx') assert.equal(queryResult.match.matchType, 'NO_INPUT');
    });

    if (name === 'cx') {
      it('tells how the recogniser waits, if it is asked for debugging info', async () => {
        const more = { enableDebuggingInfo: true };
        const config = edition.listen({ singleUtterance: true });
        const speech = Buffer.alloc(1, 0xff);
        const { responses } = await ask([inSession(edition, 'debugged', config, more)], { speech });
        const told = responses.map(({ debuggingInfo }) => debuggingInfo).filter(Boolean);
        assert.equal(told.length, 1);
        assert.deepEqual([told[0].noSpeechTimeout, told[0].endpointingTimeout].map(seconds), [1, 0.5]);
        assert.ok(told[0].singleUtterance);
      });

      it('goes on at a page of its own alone, and without the parameters of the session', async () => {
        const at = (currentPage) => ({ queryParams: { currentPage } });
        const text = edition.text('good day');
        await ask([inSession(edition, 'paged', edition.event('WELCOME'))]);
        const answered = await ask([inSession(edition, 'paged', text)]);
        assert.ok('loaves' in plain(edition.answer(answered.responses[0]).queryResult.parameters));
        const page = `${edition.agent}/flows/F/pages/P`;
        const { responses } = await ask([inSession(edition, 'paged', text, at(page))]);
        assert.ok(!('loaves' in plain(edition.answer(responses[0]).queryResult.parameters)));
        const short = ask([inSession(edition, 'paged', text, at('flows/F/pages/P'))]);
        await assert.rejects(short, ({ code }) => code === INVALID_ARGUMENT);
      });
    }

    if (edition.dtmf) {
      it('sends digits', async () => {
        const known = await ask([inSession(edition, 'digits', edition.dtmf('12'))]);
        const { queryResult } = edition.answer(known.responses[0]);
        assert.deepEqual(edition.texts(queryResult), ['twelve']);
        if (name === 'cx') assert.deepEqual(queryResult.dtmf, { digits: '12', finishDigit: '#' });
        else assert.equal(queryResult.queryText, '12');
        const unknown = await ask([inSession(edition, 'digits', edition.dtmf('*0#'))]);
        const other = edition.answer(unknown.responses[0]).queryResult;
        assert.deepEqual(edition.texts(other), []);
        if (name === 'cx') assert.equal(other.match.matchType, 'NO_MATCH');
        else assert.equal(other.queryText, '*0#');
      });
    }

    it('puts a text in the place of what was heard, in the language of the first message', async () => {
      const speech = edition.audio(recording('order.wav').subarray(0, 8000));
      const instead = { queryInput: { text: { text: 'never mind' } } };
      const { responses } = await ask([inSession(edition, 'instead', edition.listen()), speech, instead]);
      const { queryResult } = edition.answer(responses.find(edition.answer));
      assert.deepEqual(edition.texts(queryResult), ['hello'], 'as after a starting text');
      assert.equal(queryResult.languageCode, 'en');
    });

    it('is told of the end of the call and of a transfer', async () => {
      const session = 'end';
      for (const words of ['hi', 'one']) await ask([inSession(edition, session, edition.text(words))]);
      const { responses } = await ask([inSession(edition, session, edition.text('two'))]);
      const { queryResult } = edition.answer(responses[0]);
      if (name === 'cx') {
        const messages = queryResult.responseMessages.map(({ message }) => message);
        assert.deepEqual(messages, ['text', 'telephonyTransferCall', 'endInteraction']);
        assert.equal(queryResult.responseMessages[1].telephonyTransferCall.phoneNumber, '+15550123');
        return;
      }
      assert.equal(queryResult.intent.endInteraction, true);
      const transfers = queryResult.fulfillmentMessages.filter(({ message }) => message === 'telephonyTransferCall');
      const numbers = transfers.map(({ telephonyTransferCall }) => telephonyTransferCall.phoneNumber);
      assert.deepEqual(numbers, name === 'v2beta1' ? ['+15550123'] : [], 'v2 knows no telephony messages');
    });

    it('is refused what Google refuses, with INVALID_ARGUMENT and a reason', async () => {
      const listen = edition.listen();
      const without = (change) => {
        const message = structuredClone(first(edition, listen));
        change(message);
        return [message];
      };
      const speech = edition.audio(Buffer.alloc(160));
      const cases = {
        'no message': [],
        'no session': without((message) => delete message.session),
        'a session of another product': without((message) => (message.session = 'projects/ü/sessions/1')),
        'a session id of 37 characters': [inSession(edition, 'x'.repeat(37), edition.text('hi'))],
        'no query input': without((message) => delete message.queryInput),
        'an empty query input': without((message) => (message.queryInput = {})),
        'audio before its configuration': [{ ...first(edition, undefined), ...speech }],
        'audio only': [speech],
        'a configuration twice': [first(edition, listen), first(edition, listen)],
        'no encoding': [first(edition, edition.listen({ audioEncoding: 'AUDIO_ENCODING_UNSPECIFIED' }))],
        'no output encoding': without((message) => (message.outputAudioConfig = { sampleRateHertz: 8000 })),
        'an empty text': [first(edition, edition.text(''))],
        'a text of 257 characters': [first(edition, edition.text('é'.repeat(257)))],
        'an event without a name': [first(edition, edition.event(''))],
      };
      for (const [what, input] of Object.entries({
        audio: listen,
        text: edition.text('hi'),
        event: edition.event('WELCOME'),
      })) {
        const mute = structuredClone(input);
        for (const part of [mute, mute.audioConfig, mute.text, mute.event]) delete part?.languageCode;
        cases[`no language for ${what}`] = [first(edition, mute)];
      }
      if (name !== 'cx') {
        const user = `projects/p/agent/environments/e/users/${'u'.repeat(37)}/sessions/1`;
        cases['a user id of 37 characters'] = without((message) => (message.session = user));
        cases['audio beside its configuration'] = [{ ...first(edition, listen), ...speech }];
      } else {
        const both = structuredClone(listen);
        both.audio.audio = Buffer.alloc(160);
        cases['audio beside its configuration'] = [first(edition, both)];
      }
      for (const [what, messages] of Object.entries(cases)) {
        await assert.rejects(ask(messages), (error) => {
          assert.equal(error.code, INVALID_ARGUMENT, `${what}: ${error}`);
          assert.ok(error.details.length > 5, what);
          if (what === 'a session of another product') assert.match(error.details, /projects\/ü\//, 'told as it was');
          return true;
        });
      }
      const { responses } = await ask([inSession(edition, 'x'.repeat(36), edition.text('é'.repeat(256)))]);
      assert.ok(edition.answer(responses[0]), 'the longest id and the longest text pass');
    });

    it('is refused more audio than the edition takes, with OUT_OF_RANGE', async () => {
      const patient = connect(await agent('no_speech_ms = 0'));
      const minutes = Array.from({ length: name === 'cx' ? 3 : 2 }, () => edition.audio(MINUTE));
      const within = minutes.slice(1);
      const listen = first(edition, edition.listen());
      await turn(patient, edition, [listen, ...within]);
      await assert.rejects(turn(patient, edition, [listen, ...minutes]), { code: OUT_OF_RANGE });
    });

    it('is told UNIMPLEMENTED for what Google has and the lab has not', async () => {
      const flac = [first(edition, edition.listen({ audioEncoding: 'AUDIO_ENCODING_FLAC' }))];
      await assert.rejects(ask(flac), { code: UNIMPLEMENTED });
      const mp3 = { outputAudioConfig: { audioEncoding: 'OUTPUT_AUDIO_ENCODING_MP3' } };
      await assert.rejects(ask([first(edition, edition.text('hi'), mp3)]), { code: UNIMPLEMENTED });
      const { session, queryInput } = first(edition, edition.text('hi'));
      await assert.rejects(client.detectIntent({ session, queryInput }), { code: UNIMPLEMENTED });
    });

    it('cancels a turn, and goes on with the next one', async () => {
      const listen = () => inSession(edition, 'cancelled', edition.listen());
      const stream = client.streamingDetectIntent();
      const over = new Promise((resolve) => stream.on('error', resolve));
      stream.on('data', () => stream.cancel());
      stream.write(listen());
      stream.write(edition.audio(recording('order.wav')));
      assert.equal((await over).code, CANCELLED);
      // Node's gRPC half-closes before it resets, so a server may have taken the half turn for a whole one.
      const { responses } = await ask([listen()], { speech: recording('order.wav') });
      const { queryResult } = edition.answer(responses.find(edition.answer));
      assert.ok(['first', 'second'].includes(edition.texts(queryResult)[0]));
    });

    it('lets a stream that pauses be watched by keepalive pings', async () => {
      const options = { 'grpc.keepalive_time_ms': 50, 'grpc.keepalive_timeout_ms': 500 };
      const { status } = await turn(connect(port, options), edition, [inSession(edition, 'ping', edition.listen())], {
        pauseMs: 1000,
      });
      assert.equal(status.code, 0);
    });

    it('has 120 turns at once on one connection', async () => {
      const turns = Array.from({ length: 120 }, (_, n) => ask([inSession(edition, `many-${n}`, edition.text('hi'))]));
      for (const { responses } of await Promise.all(turns)) {
        assert.equal(audioOf(edition, responses).audio.length, 1600);
      }
    });

    it('takes an answer of more than four megabytes', async () => {
      const long = connect(await agent('[start]\nsay = "long"\ntone = { hz = 400, ms = 600000 }'));
      const { responses } = await turn(long, edition, [first(edition, edition.text('hi'))]);
      assert.equal(audioOf(edition, responses).audio.length, 4_800_000);
    });

    it('knows every field that it is sent', async () => {
      const Response = edition.protos.StreamingDetectIntentResponse;
      const session = 'fields';
      const listen = [inSession(edition, session, edition.listen()), edition.audio(recording('order.wav'))];
      const turns = [
        [inSession(edition, session, edition.event('WELCOME'))],
        [...listen, edition.audio(Buffer.alloc(8000, 0xff))],
        [inSession(edition, session, edition.text('two'))],
      ];
      let seen = 0;
      for (const messages of turns) {
        for (const bytes of await rawTurn(edition, port, messages)) {
          strictly(Response, bytes);
          seen += 1;
        }
      }
      assert.ok(seen >= 6);
    });

    for (const [how, script] of Object.entries({
      'the last transcript after the end': 'transcripts = "after-end"',
      'an answer that does not wait for the half-close': 'answers = "at-once"',
      'a server that waits for the half-close after its answer': 'answers = "at-once"\ncloses = "after-half-close"',
      'audio in the message with the result': 'audio_messages = "with-result"',
      'audio in several messages': 'audio_messages = "split"',
    })) {
      it(`understands ${how}`, async () => {
        const other = connect(await agent(`${script}\n${SCRIPT}`));
        const speech = recording('order.wav');
        const { responses, status } = await turn(other, edition, [first(edition, edition.listen())], { speech });
        assert.equal(status.code, 0);
        const types = responses.map(({ recognitionResult }) => recognitionResult?.messageType);
        const end = types.indexOf('END_OF_SINGLE_UTTERANCE');
        const last = types.lastIndexOf('TRANSCRIPT');
        assert.equal(last > end, script.startsWith('transcripts'));
        const answers = responses.filter(edition.answer);
        assert.equal(audioOf(edition, answers).audio.length, 800);
        assert.deepEqual(edition.texts(edition.answer(answers[0]).queryResult), ['first']);
        const messages = { 'with-result': 1, split: 4 }[script.split('"')[1]] ?? 2;
        assert.equal(answers.length, name === 'cx' ? 1 : messages);
      });
    }
  });
}

describe("Google's client for cx", () => {
  const edition = EDITIONS.cx;
  let client;
  before(async () => {
    const first = '[[start.first]]\nsay = "one moment"\ntone = { hz = 300, ms = 100 }';
    client = newClient(edition, await agent(`${SCRIPT.replace('[[utterance]]', `${first}\n[[utterance]]`)}`));
  });
  after(() => client.close());

  it('gets partial responses where it asks for them, and then the final one', async () => {
    for (const enablePartialResponse of [true, false]) {
      const session = `partial-${enablePartialResponse}`;
      const message = inSession(edition, session, edition.text('hi'), { enablePartialResponse });
      const { responses } = await turn(client, edition, [message]);
      const answers = responses.map(edition.answer);
      const types = answers.map(({ responseType }) => responseType);
      assert.deepEqual(types, enablePartialResponse ? ['PARTIAL', 'FINAL'] : ['FINAL']);
      assert.equal(new Set(answers.map(({ responseId }) => responseId)).size, answers.length);
      assert.deepEqual(edition.texts(answers.at(-1).queryResult), ['hello']);
    }
  });

  it("gets the session's parameters with every result, until it takes one away", async () => {
    const session = 'collected';
    const given = (fields) => ({ queryParams: { parameters: { fields } } });
    const results = [];
    for (const params of [
      given({ shop: { stringValue: 'north' }, pin: { numberValue: 7 } }),
      given({ pin: { nullValue: 'NULL_VALUE' } }),
      {},
    ]) {
      const message = inSession(edition, session, edition.event('WELCOME'), params);
      const { responses } = await turn(client, edition, [message]);
      results.push(plain(edition.answer(responses.at(-1)).queryResult.parameters));
    }
    assert.deepEqual(results, [{ shop: 'north', pin: 7 }, { shop: 'north' }, { shop: 'north' }]);
  });

  it('has a session of its own at each agent', async () => {
    const texts = [];
    for (const agent of ['a', 'b']) {
      const message = first(edition, edition.text('hi'));
      message.session = `projects/p/locations/global/agents/${agent}/sessions/same`;
      const { responses } = await turn(client, edition, [message]);
      texts.push(...edition.texts(edition.answer(responses.at(-1)).queryResult));
    }
    assert.deepEqual(texts, ['hello', 'hello']);
  });
});
