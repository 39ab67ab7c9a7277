// G.711 mu-law at 8,000 Hz, as the telephone has it.

/** Samples in a second, and bytes. */
export const RATE = 8000;

/** A byte of silence. */
export const SILENCE = 0xff;

const BIAS = 0x84;
const CLIP = 32635;

/** What each byte means, from -1 to 1. */
const DECODED = Float32Array.from({ length: 256 }, (_, code) => {
  const bits = ~code & 0xff;
  const magnitude = (((bits & 0x0f) << 3) + BIAS) << ((bits & 0x70) >> 4);
  return (bits & 0x80 ? BIAS - magnitude : magnitude - BIAS) / 32768;
});

/** A sample from -1 to 1 as a byte. */
export function encode(sample) {
  const linear = Math.round(sample * 32768);
  const sign = linear < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(linear), CLIP) + BIAS;
  const exponent = 24 - Math.clz32(magnitude);
  return ~(sign | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0f)) & 0xff;
}

/** A byte as a sample from -1 to 1. */
export function decode(code) {
  return DECODED[code];
}
