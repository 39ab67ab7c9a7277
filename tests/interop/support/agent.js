// An agent made of Google's own messages and Node's gRPC server: it reads strictly what it is sent.

import { grpc } from 'google-gax';

import { strictly } from './raw.js';

/** Mu-law codes as loud as speech: the quieter a sample, the nearer its code is to 0x7f or 0xff. */
const isLoud = (code) => (code & 0x7f) < 0x40;

/** After so much audio from the first loud sample on the utterance is over, in bytes. */
const UTTERANCE = 12_000;

/** 400 ms of a square wave, mu-law at 8000 Hz. */
export const VOICE = Buffer.from(Array.from({ length: 3200 }, (_, n) => (n % 20 < 10 ? 0x20 : 0xa0)));

const CODING = { audioEncoding: 'OUTPUT_AUDIO_ENCODING_MULAW', sampleRateHertz: 8000 };

/** What of a request is the input, and how an answer is written. */
const MESSAGES = {
  cx: {
    listens: ({ queryInput }) => queryInput.input === 'audio',
    audioIn: ({ queryInput }) => queryInput.audio.audio ?? Buffer.alloc(0),
    answers: ({ text, transcript, isLast }) => [
      {
        detectIntentResponse: {
          responseId: 'r',
          queryResult: {
            transcript,
            languageCode: 'en',
            match: { matchType: 'INTENT', confidence: 1, intent: { name: 'intents/1', displayName: 'said' } },
            responseMessages: [
              { text: { text: [text], allowPlaybackInterruption: true } },
              ...(isLast ? [{ endInteraction: {} }] : []),
            ],
          },
          outputAudio: VOICE,
          outputAudioConfig: CODING,
          responseType: 'FINAL',
        },
      },
    ],
  },
  es: {
    listens: ({ queryInput }) => queryInput?.input === 'audioConfig',
    audioIn: ({ inputAudio }) => inputAudio ?? Buffer.alloc(0),
    answers: ({ text, transcript, isLast }) => [
      {
        responseId: 'r',
        queryResult: {
          queryText: transcript,
          languageCode: 'en',
          fulfillmentText: text,
          fulfillmentMessages: [{ text: { text: [text] } }],
          intent: { name: 'intents/1', displayName: 'said', endInteraction: Boolean(isLast) },
        },
      },
      { outputAudio: VOICE, outputAudioConfig: CODING },
    ],
  },
};

/**
 * Serves an edition's `StreamingDetectIntent`. A turn is answered after its half-close; one that listens hears an
 * utterance and says so first, and its answer ends the call. With `refusal`, a gRPC code, every turn is refused.
 * `turns` tells what came, `faults` what of it was no message of that edition.
 */
export async function serveAgent(edition, refusal) {
  const { listens, audioIn, answers } = edition.agent.includes('/agents/') ? MESSAGES.cx : MESSAGES.es;
  const { StreamingDetectIntentRequest: Request, StreamingDetectIntentResponse: Response } = edition.protos;
  const turns = [];
  const faults = [];

  function answer(stream) {
    const turn = { messages: [], headers: stream.metadata.getMap(), heard: 0, isOver: false, halfClosed: false };
    turns.push(turn);
    const send = (message) => stream.write(Buffer.from(Response.encode(Response.fromObject(message)).finish()));
    const refuse = (code, error) => stream.emit('error', Object.assign(error, { code }));
    stream.on('data', (bytes) => {
      if (refusal !== undefined) return refuse(refusal, new Error('the agent is not there'));
      try {
        turn.messages.push(strictly(Request, bytes));
      } catch (error) {
        faults.push(error);
        return refuse(grpc.status.INVALID_ARGUMENT, error);
      }
      if (!listens(turn.messages[0])) return;
      const audio = audioIn(turn.messages.at(-1));
      if (turn.heard > 0 || audio.some(isLoud)) turn.heard += audio.length;
      if (turn.heard < UTTERANCE || turn.isOver) return;
      turn.isOver = true;
      send({ recognitionResult: { messageType: 'TRANSCRIPT', transcript: 'two loaves' } });
      send({ recognitionResult: { messageType: 'END_OF_SINGLE_UTTERANCE' } });
    });
    stream.on('end', () => {
      turn.halfClosed = true;
      const transcript = turn.isOver ? 'two loaves please' : '';
      if (turn.isOver) send({ recognitionResult: { messageType: 'TRANSCRIPT', transcript, isFinal: true } });
      for (const message of answers({ text: 'here I am', transcript, isLast: turn.isOver })) send(message);
      stream.end();
    });
    // The caller has hung up.
    stream.on('error', () => {});
  }

  const bytes = (buffer) => buffer;
  const server = new grpc.Server();
  server.addService(
    {
      streamingDetectIntent: {
        path: `/${edition.service}/StreamingDetectIntent`,
        requestStream: true,
        responseStream: true,
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    },
    { streamingDetectIntent: answer },
  );
  const port = await new Promise((resolve, reject) => {
    const bound = (error, port) => (error ? reject(error) : resolve(port));
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), bound);
  });
  return { port, turns, faults, stop: () => server.forceShutdown() };
}
