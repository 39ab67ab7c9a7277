// How loud both sides of this page's own call were, for its lanes. Only the newest call's levels are kept.

/** The most peaks of a side. With more of them, each covers twice the time. */
const MAX_PEAKS = 6000;

/** How much time a peak covers at first, in milliseconds. */
const FIRST_STEP_MS = 50;

let newest;

/** Begins the levels of a call, whose first moment is now. */
export function beginLevels(callSid) {
  newest = new Levels(callSid);
  return newest;
}

/** The levels of both sides; undefined if they are not known. */
export const levelsOf = (callSid) => (newest?.callSid === callSid ? newest.sound : undefined);

class Levels {
  #beganAt = performance.now();
  #sides = { caller: new Side(), agent: new Side() };

  constructor(callSid) {
    this.callSid = callSid;
  }

  /** Adds what is heard now of `caller` or `agent`: the highest sample, from 0 to 1. */
  add(side, level) {
    this.#sides[side].add(performance.now() - this.#beganAt, level);
  }

  get sound() {
    const { caller, agent } = this.#sides;
    return { caller: caller.sound, agent: agent.sound };
  }
}

class Side {
  #peaks = new Float32Array(MAX_PEAKS);
  #count = 0;
  #stepMs = FIRST_STEP_MS;

  add(atMs, level) {
    while (atMs >= MAX_PEAKS * this.#stepMs) this.#halve();
    const n = Math.floor(atMs / this.#stepMs);
    this.#peaks[n] = Math.max(this.#peaks[n], level);
    this.#count = Math.max(this.#count, n + 1);
  }

  #halve() {
    for (let n = 0; n < MAX_PEAKS; n += 1) {
      const [first, second] = [this.#peaks[2 * n] ?? 0, this.#peaks[2 * n + 1] ?? 0];
      this.#peaks[n] = Math.max(first, second);
    }
    this.#count = Math.ceil(this.#count / 2);
    this.#stepMs *= 2;
  }

  get sound() {
    return { of: 'levels', peaks: this.#peaks.subarray(0, this.#count), stepMs: this.#stepMs };
  }
}
