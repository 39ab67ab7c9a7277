// WAV files and mu-law, read by nothing of ours.

import { readFileSync } from 'node:fs';

/** A WAV file's parts: `format` (1 PCM, 7 mu-law), `channels`, `rate`, `bits`, `data`, and what its sizes say. */
export function readWav(bytes) {
  const id = (at) => bytes.toString('latin1', at, at + 4);
  if (id(0) !== 'RIFF' || id(8) !== 'WAVE') throw new Error('no WAV');
  const wav = { riffSize: bytes.readUInt32LE(4), length: bytes.length };
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = bytes.readUInt32LE(at + 4);
    const body = bytes.subarray(at + 8, at + 8 + size);
    if (id(at) === 'fmt ') {
      wav.format = body.readUInt16LE(0);
      wav.channels = body.readUInt16LE(2);
      wav.rate = body.readUInt32LE(4);
      wav.bytesPerSecond = body.readUInt32LE(8);
      wav.bits = body.readUInt16LE(14);
    } else if (id(at) === 'data') {
      wav.data = body;
      wav.dataSize = size;
    }
    at += 8 + size + (size % 2);
  }
  return wav;
}

/** A recording of the bakery, mu-law at 8000 Hz. */
export function recording(name) {
  const wav = readWav(readFileSync(new URL(`../../../lab/agents/bakery/${name}`, import.meta.url)));
  if (wav.format !== 7 || wav.rate !== 8000 || wav.channels !== 1) throw new Error(`${name} is no telephone audio`);
  return wav.data;
}

/** ITU-T G.711, table 2: a mu-law code as a 16-bit sample. */
export function mulawToLinear(code) {
  const inverted = ~code & 0xff;
  const magnitude = (((inverted & 0x0f) << 3) + 0x84) << ((inverted & 0x70) >> 4);
  return inverted & 0x80 ? 0x84 - magnitude : magnitude - 0x84;
}
