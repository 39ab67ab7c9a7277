// Converts one sampling rate to another by a windowed sinc, with as many phases as the two rates need. One of the rates
// is the telephone's: the filter is flat up to 3.4 kHz, and what would alias from 4.6 kHz on is down by 60 dB.

const PASS_HZ = 3400;
const STOP_HZ = 4600;
const STOP_DB = 70;

/** Converts samples. Use either `push` or `pull` on a resampler, not both. */
export class Resampler {
  #steps; // distance between two outputs, in parts of an input sample
  #parts; // parts of an input sample
  #phase = 0; // position of the next output after the newest input, in parts
  #filters; // the coefficients for each phase
  #taps;
  #history; // the last inputs, stored twice, so that the filter never wraps around
  #newest = 0;

  constructor(from, to) {
    const divisor = gcd(from, to);
    this.#parts = to / divisor;
    this.#steps = from / divisor;
    this.#taps = Math.ceil((STOP_DB - 8) / (2.285 * 2 * Math.PI * ((STOP_HZ - PASS_HZ) / from))) + 1;
    this.#history = new Float32Array(2 * this.#taps);
    this.#filters = Array.from({ length: this.#parts }, (_, phase) => filter(from, this.#taps, phase / this.#parts));
  }

  /** Takes one input sample. Calls `give` with each output sample. */
  push(sample, give) {
    this.#write(sample);
    for (; this.#phase < this.#parts; this.#phase += this.#steps) give(this.#output());
    this.#phase -= this.#parts;
  }

  /** Returns the next output sample. Calls `take` for each input sample that it needs. */
  pull(take) {
    for (; this.#phase >= this.#parts; this.#phase -= this.#parts) this.#write(take());
    const sample = this.#output();
    this.#phase += this.#steps;
    return sample;
  }

  #write(sample) {
    this.#newest = (this.#newest || this.#taps) - 1;
    this.#history[this.#newest] = sample;
    this.#history[this.#newest + this.#taps] = sample;
  }

  #output() {
    const values = this.#filters[this.#phase];
    let sum = 0;
    for (let tap = 0; tap < this.#taps; tap += 1) sum += values[tap] * this.#history[this.#newest + tap];
    return sum;
  }
}

/** The coefficients for an output that is `after` samples later than the newest input. Their sum is 1. */
function filter(from, taps, after) {
  const middle = (taps - 1) / 2;
  const cutoff = (PASS_HZ + STOP_HZ) / from;
  const values = Float64Array.from({ length: taps }, (_, tap) => {
    const distance = tap + after - middle;
    return sinc(cutoff * distance) * kaiser(distance / (middle + 1));
  });
  const sum = values.reduce((all, value) => all + value, 0);
  return Float32Array.from(values, (value) => value / sum);
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Kaiser's window from -1 to 1, for STOP_DB. */
function kaiser(x) {
  const beta = 0.1102 * (STOP_DB - 8.7);
  return Math.abs(x) >= 1 ? 0 : bessel(beta * Math.sqrt(1 - x * x)) / bessel(beta);
}

/** The modified Bessel function of order 0. */
function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let n = 1; term > sum * 1e-12; n += 1) {
    term *= (x / (2 * n)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}
