// The rows of the lanes: the ruler, a lane for each side with its words, and the stages of the turns.
// A row is `{ element, show(content) }`. What still goes on has the class `growing` and its beginning in `data-from`.

import { STAGES } from './lane_content.js';
import { el, length } from './dom.js';

/** Steps between the marks of the ruler, in seconds. */
const RULER_STEPS = [1, 2, 5, 10, 30, 60, 300, 600, 1800];

/** The room that a mark of the ruler needs, in pixels. */
const RULER_MARK_PX = 44;

/** How many peaks one piece of a waveform has. A live call draws its last piece again and again, and no other one. */
const PIECE_PEAKS = 200;

const SVG = 'http://www.w3.org/2000/svg';

/** Places an element at that part of the call. */
export function place(element, from, to) {
  element.classList.add('placed');
  element.style.setProperty('--at', from / 1000);
  if (to > from) element.style.setProperty('--for', (to - from) / 1000);
  return element;
}

/** A part of the call: from a time to another one, or to now. */
function stretch(kind, { from, to, text }) {
  const element = place(el('span', { class: `long ${kind}`, title: text }), from, to);
  if (to === undefined) {
    element.classList.add('growing');
    element.dataset.from = from;
  }
  return element;
}

/** The ruler. Its content is `{ ms, px }`: how much of the call it covers, and how wide a second is. */
export function ruler() {
  const element = el('div', { class: 'ruler' });
  const show = ({ ms, px }) => {
    const step = 1000 * (RULER_STEPS.find((step) => step * px >= RULER_MARK_PX) ?? RULER_STEPS.at(-1));
    const count = Math.floor(ms / step) + 1;
    if (element.dataset.step !== String(step)) element.replaceChildren();
    element.dataset.step = step;
    for (let n = element.childElementCount; n < count; n += 1) element.append(place(el('span', {}, length(n * step)), n * step));
    while (element.childElementCount > count) element.lastElementChild.remove();
  };
  return { element, show };
}

/** A lane. Its content is its `spans` and `marks`. `showSound` takes `{ peaks, stepMs }`, or nothing to show none. */
export function lane(name) {
  const [spans, wave, marks] = ['spans', 'wave', 'marks'].map((kind) => el('div', { class: `layer ${kind}` }));
  const element = el('div', { class: `lane ${name.toLowerCase()}` }, spans, wave, marks, el('span', { class: 'lane-name' }, name));
  const show = (content) => {
    spans.replaceChildren(...content.spans.map((span) => stretch('span', span)));
    marks.replaceChildren(
      ...content.marks.map(({ at, text, kind }) => place(el('span', { class: `mark ${kind}`, title: text }, text), at)),
    );
  };
  const showSound = (sound) => {
    element.classList.toggle('silent', !sound);
    renewWave(wave, sound);
  };
  showSound();
  return { element, show, showSound };
}

/** Draws a waveform in pieces. Those that are complete stay as they are. */
function renewWave(wave, sound) {
  if (!sound || wave.dataset.stepMs !== String(sound.stepMs) || wave.dataset.of !== sound.of) wave.replaceChildren();
  if (!sound) return;
  wave.dataset.stepMs = sound.stepMs;
  wave.dataset.of = sound.of;
  const { peaks, stepMs } = sound;
  const count = Math.ceil(peaks.length / PIECE_PEAKS);
  // The last piece that is there was not complete when it was drawn.
  wave.lastElementChild?.remove();
  for (let n = wave.childElementCount; n < count; n += 1) {
    const from = n * PIECE_PEAKS;
    // With the first peaks of the next piece, so that there is no gap and no seam.
    wave.append(piece(peaks.subarray(from, from + PIECE_PEAKS + 2), from * stepMs, stepMs));
  }
}

/** A piece of a waveform as one path. */
function piece(peaks, fromMs, stepMs) {
  const svg = document.createElementNS(SVG, 'svg');
  const path = document.createElementNS(SVG, 'path');
  const steps = Math.max(1, peaks.length - 1);
  svg.classList.add('long');
  svg.setAttribute('viewBox', `0 -1 ${steps} 2`);
  svg.setAttribute('preserveAspectRatio', 'none');
  // Quiet speech is to be seen beside loud speech.
  const heights = Array.from(peaks, (peak) => Math.max(0.015, Math.sqrt(peak)).toFixed(3));
  const above = heights.map((height, n) => `${n} -${height}`).join('L');
  const below = heights.map((height, n) => `${n} ${height}`).reverse().join('L');
  path.setAttribute('d', `M${above}L${below}Z`);
  svg.append(path);
  return place(svg, fromMs, fromMs + steps * stepMs);
}

/** The words of a side. */
export function words() {
  const element = el('div', { class: 'lane-words' });
  const bubble = ({ from, to, text }) => place(el('span', { class: `bubble${to > from ? ' long' : ''}`, title: text }, text), from, to);
  return { element, show: (said) => element.replaceChildren(...said.map(bubble)) };
}

/** The stages of each turn, one after the other. */
export function stageRow() {
  const bars = el('div', { class: 'layer' });
  const element = el('div', { class: 'stage-row' }, bars, el('span', { class: 'lane-name' }, 'Wait'));
  const bar = (stage) => {
    const drawn = stretch(`stage ${stage.stage}${stage.isSlow ? ' slow' : ''}`, stage);
    if (!stage.label) return [drawn];
    const { text, isSlow } = stage.label;
    return [drawn, place(el('span', { class: `wait${isSlow ? ' slow' : ''}` }, text), stage.to)];
  };
  return { element, show: (stages) => bars.replaceChildren(...stages.flatMap(bar)) };
}

/** What the colours of the stages mean. */
export function legend() {
  const items = Object.entries(STAGES).map(([stage, name]) => el('li', {}, el('span', { class: `swatch ${stage}` }), name));
  return el('ul', { class: 'legend', 'aria-label': 'Stages of a turn' }, ...items);
}
