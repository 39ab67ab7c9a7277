// The softphone's audio without a browser: mu-law, resampling, and what runs on the audio clock.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { RATE, SILENCE, decode, encode } from '../../../runner/page/mulaw.js';
import { Resampler } from '../../../runner/page/resample.js';

const RATES = [16000, 44100, 48000, 96000];

const tone = (hz, rate, seconds = 0.5) =>
  Float32Array.from({ length: rate * seconds }, (_, n) => 0.5 * Math.sin((2 * Math.PI * hz * n) / rate));

function pushed(samples, from) {
  const down = new Resampler(from, RATE);
  const out = [];
  for (const sample of samples) down.push(sample, (value) => out.push(value));
  return out;
}

function pulled(samples, to, count) {
  const up = new Resampler(RATE, to);
  let at = 0;
  return Array.from({ length: count }, () => up.pull(() => samples[at++] ?? 0));
}

/** The level of a frequency in the middle of some samples, against the tone's own, in dB. */
function level(samples, hz, rate) {
  const middle = samples.slice(Math.floor(samples.length / 4), Math.floor((samples.length * 3) / 4));
  let [re, im] = [0, 0];
  middle.forEach((sample, n) => {
    re += sample * Math.cos((2 * Math.PI * hz * n) / rate);
    im += sample * Math.sin((2 * Math.PI * hz * n) / rate);
  });
  return 20 * Math.log10((2 * Math.hypot(re, im)) / middle.length / 0.5);
}

const loudest = (samples) => {
  const middle = samples.slice(Math.floor(samples.length / 4), Math.floor((samples.length * 3) / 4));
  return 20 * Math.log10(Math.max(...middle.map(Math.abs)) / 0.5);
};

describe('mu-law', () => {
  it('reads back as it was written, but for the second zero', () => {
    for (let code = 0; code < 256; code += 1) assert.equal(encode(decode(code)), code === 0x7f ? 0xff : code, `${code}`);
  });

  it('is the table of ITU-T G.711', () => {
    // Decision values of table 2a: the least and the largest step, both signs.
    const known = [[0xff, 0], [0xfe, 8], [0x80, 32124], [0x00, -32124], [0x8f, 16764], [0xf0, 120], [0x7e, -8]];
    for (const [code, linear] of known) assert.equal(Math.round(decode(code) * 32768), linear, `${code}`);
    assert.equal(encode(1), 0x80);
    assert.equal(encode(-1), 0x00);
    assert.equal(encode(0), SILENCE);
  });
});

describe('from the microphone', () => {
  for (const rate of RATES) {
    it(`speech of ${rate} Hz passes flat, and nothing comes back as something else`, () => {
      for (const hz of [100, 300, 1000, 2000, 3000, 3400]) {
        const gain = level(pushed(tone(hz, rate), rate), hz, RATE);
        assert.ok(Math.abs(gain) < 0.5, `${hz} Hz: ${gain} dB`);
      }
      for (const hz of [4600, 5000, 6000, 7000, 7900, 12000, 20000].filter((hz) => hz < rate / 2)) {
        const gain = loudest(pushed(tone(hz, rate), rate));
        assert.ok(gain < -60, `${hz} Hz: ${gain} dB`);
      }
      assert.ok(Math.abs(pushed(tone(440, rate), rate).length - RATE / 2) <= 1, 'as much as it lasts');
    });
  }
});

describe('to the loudspeaker', () => {
  for (const rate of RATES) {
    it(`the telephone's audio becomes ${rate} Hz without images`, () => {
      for (const hz of [100, 1000, 3400]) {
        const out = pulled(tone(hz, RATE), rate, rate / 2);
        const gain = level(out, hz, rate);
        assert.ok(Math.abs(gain) < 0.5, `${hz} Hz: ${gain} dB`);
        const image = RATE - hz;
        if (image < rate / 2) assert.ok(level(out, image, rate) < -60, `${hz} Hz at ${image} Hz`);
      }
    });
  }

  it('takes as many samples as it should', () => {
    for (const rate of RATES) {
      let taken = 0;
      const up = new Resampler(RATE, rate);
      for (let n = 0; n < rate; n += 1) up.pull(() => (taken += 1) && 0);
      assert.ok(Math.abs(taken - RATE) <= 1, `${rate} Hz: ${taken}`);
    }
  });
});

// The audio clock, in the test's hands.
const processors = {};
globalThis.sampleRate = 48000;
globalThis.currentTime = 0;
globalThis.registerProcessor = (name, processor) => (processors[name] = processor);
globalThis.AudioWorkletProcessor = class {
  told = [];
  port = { postMessage: (message) => this.told.push(message) };
};
await import('../../../runner/page/worklet.js');

/** Runs a processor for some milliseconds; gives what it told, and what it put out. */
function run(processor, ms, input) {
  const from = processor.told.length;
  const heard = [];
  for (let left = Math.round((ms * sampleRate) / 1000); left > 0; left -= 128) {
    const output = new Float32Array(128);
    processor.process([input ? [input(128)] : []], [[output]]);
    heard.push(...output);
    globalThis.currentTime += 128 / sampleRate;
  }
  return { told: processor.told.slice(from), heard };
}

const frames = (told) => told.filter(({ frame }) => frame).map(({ frame }) => frame);
const marks = (told) => told.flatMap(({ marks }) => marks ?? []);

describe('the microphone on the audio clock', () => {
  it('gives a frame of 160 bytes every 20 ms, of silence where it hears nothing', () => {
    const { told } = run(new processors.microphone(), 2000);
    assert.ok(Math.abs(frames(told).length - 100) <= 1, `${frames(told).length}`);
    assert.ok(frames(told).every((frame) => frame.length === 160 && frame.every((code) => code === SILENCE)));
  });

  it('sends silence while it is muted, and its sound again after', () => {
    const microphone = new processors.microphone();
    // 1,000 Hz are the same after every 384 samples.
    const sound = tone(1000, sampleRate);
    const noise = (count) => sound.subarray(0, count);
    const isSilent = (frame) => frame.every((code) => code === SILENCE);
    assert.ok(frames(run(microphone, 200, noise).told).slice(1).every((frame) => !isSilent(frame)));
    microphone.port.onmessage({ data: { muted: true } });
    assert.ok(frames(run(microphone, 200, noise).told).slice(1).every(isSilent));
    microphone.port.onmessage({ data: { muted: false } });
    assert.ok(frames(run(microphone, 200, noise).told).slice(1).every((frame) => !isSilent(frame)));
    microphone.port.onmessage({ data: { end: true } });
    assert.equal(microphone.process([[]], []), false, 'it ends');
  });
});

describe('the loudspeaker on the audio clock', () => {
  const audio = (ms, code = 0x90) => new Uint8Array(ms * 8).fill(code);
  const give = (loudspeaker, ...messages) => messages.forEach((data) => loudspeaker.port.onmessage({ data }));

  it('gives a mark back when what was before it was played, and not before', () => {
    const loudspeaker = new processors.loudspeaker();
    give(loudspeaker, { audio: audio(100) }, { mark: 'a' }, { audio: audio(100) }, { mark: 'b' }, { mark: 'c' });
    assert.deepEqual(marks(run(loudspeaker, 90).told), []);
    assert.deepEqual(marks(run(loudspeaker, 20).told), ['a']);
    assert.deepEqual(marks(run(loudspeaker, 80).told), []);
    assert.deepEqual(marks(run(loudspeaker, 20).told), ['b', 'c']);
    give(loudspeaker, { mark: 'd' });
    assert.deepEqual(marks(run(loudspeaker, 5).told), ['d'], 'with nothing to play before it, at once');
  });

  it('counts what the device still holds', () => {
    const loudspeaker = new processors.loudspeaker();
    give(loudspeaker, { latency: 0.2 }, { audio: audio(100) }, { mark: 'a' });
    assert.deepEqual(marks(run(loudspeaker, 280).told), []);
    assert.deepEqual(marks(run(loudspeaker, 40).told), ['a']);
  });

  it('falls silent at a clear, and gives all marks back at once and in order', () => {
    const loudspeaker = new processors.loudspeaker();
    give(loudspeaker, { latency: 0.2 }, { audio: audio(100) }, { mark: 'a' }, { audio: audio(5000) }, { mark: 'b' });
    const before = run(loudspeaker, 200);
    assert.ok(Math.max(...before.heard.map(Math.abs)) > 0.3, 'it plays');
    const told = loudspeaker.told.length;
    give(loudspeaker, { clear: true });
    assert.deepEqual(marks(loudspeaker.told.slice(told)), ['a', 'b']);
    const { heard } = run(loudspeaker, 200);
    assert.ok(heard.slice(480).every((sample) => Math.abs(sample) < 1e-6), 'after the filter has run out, 10 ms');
    give(loudspeaker, { audio: audio(100) }, { mark: 'c' });
    assert.deepEqual(marks(run(loudspeaker, 350).told), ['c'], 'and plays what comes then');
  });

  it('plays as fast as the telephone speaks', () => {
    const loudspeaker = new processors.loudspeaker();
    const ramp = Uint8Array.from({ length: 8000 }, (_, n) => encode(0.5 * Math.sin((2 * Math.PI * 1000 * n) / RATE)));
    give(loudspeaker, { audio: ramp });
    const { heard } = run(loudspeaker, 1000);
    assert.ok(Math.abs(level(heard, 1000, sampleRate)) < 0.5, `${level(heard, 1000, sampleRate)} dB`);
  });

  it('holds ten minutes and no more', () => {
    const loudspeaker = new processors.loudspeaker();
    for (let n = 0; n < 12; n += 1) give(loudspeaker, { audio: audio(60_000) });
    assert.equal(loudspeaker.told.filter(({ tooMuch }) => tooMuch).length, 2);
  });
});
