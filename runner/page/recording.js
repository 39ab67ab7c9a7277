// The recording of a call: both sides as mu-law, the caller on the left, and their playback in step.

import { urlOf } from './dom.js';
import { RATE, decode } from './mulaw.js';

/** The highest number of peaks of a waveform. */
const MAX_PEAKS = 6000;

/** A peak covers at least so many samples: 20 ms. */
const MIN_PEAK_SAMPLES = 160;

export class Recording {
  #codes;

  /** Fetches it. Throws an error with a sentence. */
  static async of(id) {
    const response = await fetch(urlOf(`/calls/${id}/call.wav`), { credentials: 'same-origin' });
    if (!response.ok) throw new Error((await response.text()).trim());
    const recording = new Recording();
    recording.#codes = data(await response.arrayBuffer());
    return recording;
  }

  get ms() {
    return (this.#codes.length / 2 / RATE) * 1000;
  }

  /** How loud both sides were. */
  get sound() {
    return { caller: this.#soundOf(0), agent: this.#soundOf(1) };
  }

  /** The peaks of a side, 0 for the caller and 1 for the agent: from 0 to 1 each, one for each `stepMs`. */
  #soundOf(side) {
    const samples = this.#codes.length / 2;
    const each = Math.max(MIN_PEAK_SAMPLES, Math.ceil(samples / MAX_PEAKS));
    const peaks = new Float32Array(Math.ceil(samples / each));
    for (let n = 0; n < samples; n += 1) {
      const level = Math.abs(decode(this.#codes[2 * n + side]));
      const peak = Math.floor(n / each);
      if (level > peaks[peak]) peaks[peak] = level;
    }
    return { of: 'recording', peaks, stepMs: (1000 * each) / RATE };
  }

  /** The audio for that context. */
  buffer(context) {
    const buffer = context.createBuffer(2, Math.max(1, this.#codes.length / 2), RATE);
    for (const side of [0, 1]) {
      const samples = buffer.getChannelData(side);
      for (let n = 0; n < samples.length; n += 1) samples[n] = decode(this.#codes[2 * n + side] ?? 0xff);
    }
    return buffer;
  }
}

/** The content of a WAV file's data chunk. */
function data(wav) {
  const view = new DataView(wav);
  let at = 12;
  while (at + 8 < wav.byteLength && view.getUint32(at) !== 0x64617461) at += 8 + view.getUint32(at + 4, true);
  return new Uint8Array(wav, Math.min(at + 8, wav.byteLength));
}

/** The player that plays now. Another one stops it. */
let playing;

/** Plays a recording. `on` has `moved(ms)`, called while it plays, and `changed()` when it starts or stops. */
export class Player {
  #recording;
  #on;
  #context;
  #buffer;
  #source;
  #from = 0;
  #startedAt = 0;

  constructor(recording, on) {
    this.#recording = recording;
    this.#on = on;
  }

  get isPlaying() {
    return this.#source !== undefined;
  }

  /** Where it is, in milliseconds. */
  get ms() {
    if (!this.isPlaying) return this.#from;
    return Math.min(this.#recording.ms, this.#from + 1000 * (this.#context.currentTime - this.#startedAt));
  }

  /** Plays or stops. Call it from a click or a key: browsers play nothing before. */
  toggle() {
    if (this.isPlaying) this.stop();
    else this.#play();
  }

  /** Goes to a place, and plays on from there if it plays. */
  seek(ms) {
    const wasPlaying = this.isPlaying;
    this.stop();
    this.#from = Math.max(0, Math.min(ms, this.#recording.ms));
    if (wasPlaying) this.#play();
    else this.#on.moved(this.#from);
  }

  stop() {
    if (!this.isPlaying) return;
    this.#from = this.ms;
    this.#source.onended = null;
    this.#source.stop();
    this.#source = undefined;
    playing = undefined;
    void this.#context.suspend();
    this.#on.moved(this.#from);
    this.#on.changed();
  }

  #play() {
    playing?.stop();
    playing = this;
    this.#context ??= new AudioContext();
    this.#buffer ??= this.#recording.buffer(this.#context);
    if (this.#from >= this.#recording.ms) this.#from = 0;
    void this.#context.resume();
    const source = this.#context.createBufferSource();
    source.buffer = this.#buffer;
    source.connect(this.#context.destination);
    source.onended = () => this.stop();
    source.start(0, this.#from / 1000);
    this.#startedAt = this.#context.currentTime;
    this.#source = source;
    this.#on.changed();
    this.#follow();
  }

  #follow() {
    if (!this.isPlaying) return;
    this.#on.moved(this.ms);
    requestAnimationFrame(() => this.#follow());
  }
}
