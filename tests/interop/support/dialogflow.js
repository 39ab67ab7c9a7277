// Google's clients, and each edition's messages.

import cx from '@google-cloud/dialogflow-cx';
import es from '@google-cloud/dialogflow';
import { grpc } from 'google-gax';

/** A turn that takes longer has failed. */
const TURN_MS = 15_000;

/** 100 ms of mu-law, and of silence. */
const CHUNK = 800;
const SILENCE = Buffer.alloc(CHUNK, 0xff);

/** The most audio that is sent before the end of the utterance has come, in chunks. */
const MOST_CHUNKS = 300;

export const CALL_SID = 'CA0123456789abcdef0123456789abcdef';

const LISTEN = { audioEncoding: 'AUDIO_ENCODING_MULAW', sampleRateHertz: 8000, singleUtterance: true };

/**
 * What differs between the editions: where sessions are, how the first message says what the input is (`input`), how
 * later ones carry audio, and where an answer has its parts.
 */
export const EDITIONS = {
  cx: {
    Client: cx.v3.SessionsClient,
    protos: cx.protos.google.cloud.dialogflow.cx.v3,
    service: 'google.cloud.dialogflow.cx.v3.Sessions',
    agent: 'projects/lab/locations/global/agents/lab',
    event: (event) => ({ event: { event }, languageCode: 'en' }),
    text: (text) => ({ text: { text }, languageCode: 'en' }),
    dtmf: (digits) => ({ dtmf: { digits, finishDigit: '#' }, languageCode: 'en' }),
    listen: (config = {}) => ({ audio: { config: { ...LISTEN, ...config } }, languageCode: 'en' }),
    audio: (audio) => ({ queryInput: { audio: { audio } } }),
    answer: (response) => response.detectIntentResponse,
    intent: (result) => result.match.intent,
    transcript: (result) => result.transcript,
    texts: (result) => result.responseMessages.flatMap((message) => message.text?.text ?? []),
    hasStability: true,
  },
  v2: {
    Client: es.v2.SessionsClient,
    protos: es.protos.google.cloud.dialogflow.v2,
    service: 'google.cloud.dialogflow.v2.Sessions',
    ...esMessages(),
    hasStability: false,
  },
  v2beta1: {
    Client: es.v2beta1.SessionsClient,
    protos: es.protos.google.cloud.dialogflow.v2beta1,
    service: 'google.cloud.dialogflow.v2beta1.Sessions',
    ...esMessages(),
    dtmf: (digits) => ({ dtmf: { dtmfEvents: [...digits].map((digit) => DTMF[digit]) } }),
    hasStability: true,
  },
};

function esMessages() {
  return {
    agent: 'projects/lab/agent',
    event: (name, parameters) => ({ event: { name, languageCode: 'en', parameters } }),
    text: (text) => ({ text: { text, languageCode: 'en' } }),
    listen: (config = {}) => ({ audioConfig: { ...LISTEN, languageCode: 'en', ...config } }),
    audio: (inputAudio) => ({ inputAudio }),
    answer: (response) => (response.queryResult || response.outputAudio.length > 0 ? response : null),
    intent: (result) => result.intent,
    transcript: (result) => result.queryText,
    texts: (result) => result.fulfillmentMessages.flatMap((message) => message.text?.text ?? []),
  };
}

const DTMF = { 1: 'DTMF_ONE', 2: 'DTMF_TWO', 0: 'DTMF_ZERO', '*': 'DTMF_STAR', '#': 'DTMF_POUND' };

/** Google's client for an edition, for an agent on the loopback address. */
export function newClient(edition, port, options = {}) {
  return new edition.Client({
    apiEndpoint: '127.0.0.1',
    port,
    sslCreds: grpc.credentials.createInsecure(),
    // Without it the client looks for credentials that name one.
    clientOptions: { universeDomain: 'googleapis.com' },
    ...options,
  });
}

/** The first message of a turn. */
export function first(edition, queryInput, more = {}) {
  return {
    session: `${edition.agent}/sessions/${CALL_SID}`,
    queryInput,
    outputAudioConfig: { audioEncoding: 'OUTPUT_AUDIO_ENCODING_MULAW', sampleRateHertz: 8000 },
    ...more,
  };
}

/** The same call, whose session is another one. */
export function inSession(edition, id, queryInput, more = {}) {
  return first(edition, queryInput, { session: `${edition.agent}/sessions/${id}`, ...more });
}

/**
 * One turn through Google's client: the messages, then with `speech` the caller's audio and silence after it until the
 * end of the utterance comes, then the half-close. Gives all responses and how the stream ended; fails with the
 * client's error.
 */
export async function turn(client, edition, messages, { speech, pauseMs = 0, options = {} } = {}) {
  const stream = client.streamingDetectIntent({ timeout: TURN_MS, ...options });
  const turned = { responses: [], status: undefined, headers: undefined, isOver: false, chunks: 0 };
  const over = new Promise((resolve, reject) => {
    stream.on('data', (response) => {
      turned.responses.push(response);
      turned.isOver ||= response.recognitionResult?.messageType === 'END_OF_SINGLE_UTTERANCE';
    });
    stream.on('metadata', (metadata) => (turned.headers = metadata));
    stream.on('status', (status) => (turned.status = status));
    stream.on('error', reject);
    stream.on('end', resolve);
  });
  // Whoever writes below finds out by itself.
  over.catch(() => {});
  for (const message of messages) stream.write(message);
  if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  if (speech) await speak(stream, edition, turned, speech);
  stream.end();
  await over;
  return turned;
}

async function speak(stream, edition, turned, speech) {
  while (!turned.isOver && turned.chunks < MOST_CHUNKS && !stream.destroyed) {
    const at = turned.chunks * CHUNK;
    const audio = at < speech.length ? speech.subarray(at, at + CHUNK) : SILENCE;
    stream.write(edition.audio(audio));
    turned.chunks += 1;
    // A tenth of real time leaves the responses room to come in between.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** All audio of an answer, in order, with the coding that each message names. */
export function audioOf(edition, responses) {
  const answers = responses.map(edition.answer).filter((answer) => answer?.outputAudio.length > 0);
  return {
    audio: Buffer.concat(answers.map((answer) => Buffer.from(answer.outputAudio))),
    codings: answers.map(({ outputAudioConfig }) => outputAudioConfig),
  };
}

/** protobuf's Struct, as Google's clients give it, as a plain value. */
export function plain(struct) {
  const value = (of) => {
    const kind = of.kind ?? Object.keys(of)[0];
    if (kind === 'structValue') return plain(of.structValue);
    if (kind === 'listValue') return of.listValue.values.map(value);
    return kind === 'nullValue' ? null : of[kind];
  };
  return Object.fromEntries(Object.entries(struct.fields).map(([name, of]) => [name, value(of)]));
}
