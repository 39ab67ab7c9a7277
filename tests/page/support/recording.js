// What the browser's microphone hears: a WAV file made of the lab's recordings and of silence.

import { readFileSync, writeFileSync } from 'node:fs';

import { RATE, decode } from '../../../runner/page/mulaw.js';

const FOLDER = new URL('../../../lab/agents/bakery/', import.meta.url);

/** A recording of the lab's, mu-law at 8,000 Hz, as 16-bit samples. */
function recording(name) {
  const wav = readFileSync(new URL(name, FOLDER));
  let at = 12;
  while (wav.toString('latin1', at, at + 4) !== 'data') at += 8 + wav.readUInt32LE(at + 4);
  const codes = wav.subarray(at + 8, at + 8 + wav.readUInt32LE(at + 4));
  const samples = Buffer.alloc(2 * codes.length);
  codes.forEach((code, n) => samples.writeInt16LE(Math.round(decode(code) * 32767), 2 * n));
  return samples;
}

/** Writes a file: seconds of silence and names of recordings, one after the other. */
export function record(file, parts) {
  const audio = Buffer.concat(
    parts.map((part) => (typeof part === 'number' ? Buffer.alloc(2 * Math.round(part * RATE)) : recording(part))),
  );
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + audio.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(RATE, 24);
  head.writeUInt32LE(2 * RATE, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(audio.length, 40);
  writeFileSync(file, Buffer.concat([head, audio]));
}
