// G.711 mu-law at 8,000 Hz, the audio of the telephone.

/** Samples per second; a sample is one byte. */
export const RATE = 8000;

/** The byte for silence. */
export const SILENCE = 0xff;

const BIAS = 0x84;
const CLIP = 32635;

/** The sample of each byte, from -1 to 1. */
const DECODED = Float32Array.from({ length: 256 }, (_, code) => {
  const bits = ~code & 0xff;
  const magnitude = (((bits & 0x0f) << 3) + BIAS) << ((bits & 0x70) >> 4);
  return (bits & 0x80 ? BIAS - magnitude : magnitude - BIAS) / 32768;
});

/** Turns a sample from -1 to 1 into a byte. */
export function encode(sample) {
  const linear = Math.round(sample * 32768);
  const sign = linear < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(linear), CLIP) + BIAS;
  const exponent = 24 - Math.clz32(magnitude);
  return ~(sign | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0f)) & 0xff;
}

/** Turns a byte into a sample from -1 to 1. */
export function decode(code) {
  return DECODED[code];
}
