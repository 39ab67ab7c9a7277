// The code that runs on the audio clock: the microphone's frames, and the playout with its marks.

import { RATE, SILENCE, decode, encode } from './mulaw.js';
import { Resampler } from './resample.js';

/** Samples in a frame. A frame is 20 ms, as with Twilio. */
const FRAME = RATE / 50;

/** How many samples may wait for playout: ten minutes. */
const MOST_WAITING = 600 * RATE;

/** How often we report levels, in seconds. */
const TELL_EVERY = 0.05;

/**
 * The microphone. Posts a frame of 160 bytes every 20 ms: silence if it is muted or there is no microphone.
 * Takes `{ muted }` and `{ end }`.
 */
class Microphone extends AudioWorkletProcessor {
  #down = new Resampler(sampleRate, RATE);
  #frame = new Uint8Array(FRAME);
  #filled = 0;
  #loudest = 0;
  #isMuted = false;
  #isOver = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data.end) this.#isOver = true;
      else this.#isMuted = data.muted;
    };
  }

  process([input]) {
    const samples = input[0];
    for (let n = 0; n < 128; n += 1) this.#down.push(samples?.[n] ?? 0, (sample) => this.#take(sample));
    return !this.#isOver;
  }

  #take(sample) {
    this.#frame[this.#filled] = this.#isMuted ? SILENCE : encode(sample);
    this.#loudest = Math.max(this.#loudest, this.#isMuted ? 0 : Math.abs(sample));
    this.#filled += 1;
    if (this.#filled < FRAME) return;
    this.port.postMessage({ frame: this.#frame.slice(), level: this.#loudest });
    this.#filled = 0;
    this.#loudest = 0;
  }
}

/**
 * The loudspeaker. Plays the queued audio, and posts each mark when all audio before it was heard.
 * Takes `{ audio }`, `{ mark }`, `{ clear }`, `{ latency }` (in seconds) and `{ end }`.
 */
class Loudspeaker extends AudioWorkletProcessor {
  #up = new Resampler(RATE, sampleRate);
  /** Audio and marks in order, and how many samples of the first audio are played. */
  #queue = [];
  #played = 0;
  #waiting = 0;
  /** Marks whose audio is on its way to the speaker, each with the time when it is heard. */
  #leaving = [];
  #latency = 0;
  #loudest = 0;
  #told = 0;
  #isOver = false;
  #take = () => this.#next();

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.#on(data);
  }

  #on({ audio, mark, clear, latency, end }) {
    if (end) {
      this.#isOver = true;
    } else if (clear) {
      this.#clear();
    } else if (latency !== undefined) {
      this.#latency = latency;
    } else if (mark !== undefined) {
      this.#queue.push({ mark });
    } else if (this.#waiting + audio.length <= MOST_WAITING) {
      this.#queue.push({ audio });
      this.#waiting += audio.length;
    } else {
      this.port.postMessage({ tooMuch: true });
    }
  }

  process(_, [output]) {
    const samples = output[0];
    for (let n = 0; n < samples.length; n += 1) {
      samples[n] = this.#up.pull(this.#take);
      this.#loudest = Math.max(this.#loudest, Math.abs(samples[n]));
    }
    this.#giveBack(this.#leaving.findIndex(({ at }) => at > currentTime));
    if (currentTime - this.#told >= TELL_EVERY) {
      this.port.postMessage({ level: this.#loudest });
      this.#loudest = 0;
      this.#told = currentTime;
    }
    return !this.#isOver;
  }

  /** The next sample at 8,000 Hz. */
  #next() {
    let sample = 0;
    for (let first = this.#queue[0]; first?.audio; first = this.#queue[0]) {
      if (this.#played < first.audio.length) {
        sample = decode(first.audio[this.#played]);
        this.#played += 1;
        this.#waiting -= 1;
        break;
      }
      this.#drop();
    }
    // Take the marks that follow the last sample of their audio.
    while (this.#queue[0]?.audio && this.#played === this.#queue[0].audio.length) this.#drop();
    while (this.#queue[0]?.mark !== undefined) {
      this.#leaving.push({ mark: this.#queue.shift().mark, at: currentTime + this.#latency });
    }
    return sample;
  }

  #drop() {
    this.#queue.shift();
    this.#played = 0;
  }

  /** Empties the queue. As with Twilio, all marks come back at once. */
  #clear() {
    this.#giveBack(-1);
    const marks = this.#queue.filter(({ mark }) => mark !== undefined);
    this.#queue = [];
    this.#played = 0;
    this.#waiting = 0;
    if (marks.length > 0) this.port.postMessage({ marks: marks.map(({ mark }) => mark) });
  }

  /** Posts the first `count` leaving marks. -1: all of them. */
  #giveBack(count) {
    const marks = this.#leaving.splice(0, count < 0 ? this.#leaving.length : count);
    if (marks.length > 0) this.port.postMessage({ marks: marks.map(({ mark }) => mark) });
  }
}

registerProcessor('microphone', Microphone);
registerProcessor('loudspeaker', Loudspeaker);
