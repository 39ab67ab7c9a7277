// A call as two lanes, caller and agent: who spoke when, the words, keys and cuts, and the stages of each turn.

import { el, length, seconds } from './dom.js';
import { Player } from './recording.js';

/** The stages of a turn, in the order in which they happen, with what they are called here. */
const STAGES = {
  waiting: 'waiting for a stream',
  recogniser: 'recogniser',
  agent: 'agent',
  'first-audio': 'first audio',
  playout: 'playout',
};

/** Steps between the marks of the ruler, in seconds. */
const RULER_STEPS = [1, 2, 5, 10, 30, 60, 300, 600];

/** How wide a second is, in pixels: without zoom, and at most. */
const SECOND_PX = 36;
const MAX_SECOND_PX = 300;

/** How far an arrow key goes, in milliseconds. */
const STEP_MS = 2000;

const SVG = 'http://www.w3.org/2000/svg';

/** The lanes of a call with these lines. `recording` is undefined if there is none; then `why` says so. */
export function lanes(lines, { tookMs, recording, why }) {
  const ms = Math.max(1, tookMs ?? 0, recording?.ms ?? 0, ...lines.map(({ atMs }) => atMs));
  const place = placer(ms);
  const turns = lines.filter(({ what }) => what === 'stages');
  const head = el('div', { class: 'playhead', hidden: true });
  const track = el(
    'div',
    { class: 'track', role: 'img', 'aria-label': 'The call as two lanes. The list below has all of it in words.' },
    ruler(ms, place),
    lane('Caller', place, recording?.peaks(0), callerSpans(turns), callerMarks(lines)),
    words(place, callerWords(lines, turns)),
    stageRow(place, turns),
    lane('Agent', place, recording?.peaks(1), agentSpans(lines, turns, ms), agentMarks(lines)),
    words(place, agentWords(lines, turns)),
    head,
  );
  const scroll = el('div', { class: 'lanes-scroll', tabindex: '0', role: 'group', 'aria-label': 'Lanes, scroll sideways' }, track);
  const zoom = zoomer(track, scroll, ms);
  const player = recording ? playerOf(recording, { head, scroll, track, ms }) : { tools: [el('span', { class: 'quiet' }, why)] };
  scroll.addEventListener('keydown', (event) => onKey(event, { player: player.player, zoom }));
  track.addEventListener('click', ({ clientX }) => {
    const { left, width } = track.getBoundingClientRect();
    player.player?.seek(((clientX - left) / width) * ms);
  });
  const tools = el('div', { class: 'lane-tools' }, ...player.tools, el('span', { class: 'zoom' }, ...zoom.buttons));
  return el('div', { class: 'lanes' }, tools, scroll, legend(turns));
}

/** Places an element at that part of the call. */
function placer(ms) {
  return (element, from, to = from) => {
    element.style.left = `${(100 * from) / ms}%`;
    if (to > from) element.style.width = `${(100 * (to - from)) / ms}%`;
    return element;
  };
}

function ruler(ms, place) {
  const step = 1000 * (RULER_STEPS.find((step) => ms / 1000 / step <= 40) ?? RULER_STEPS.at(-1));
  const marks = Array.from({ length: Math.floor(ms / step) + 1 }, (_, n) => place(el('span', {}, length(n * step)), n * step));
  return el('div', { class: 'ruler' }, ...marks);
}

function lane(name, place, peaks, spans, marks) {
  const kind = name.toLowerCase();
  return el(
    'div',
    { class: `lane ${kind}` },
    el('span', { class: 'lane-name' }, name),
    ...spans.map(({ from, to }) => place(el('span', { class: 'span' }), from, to)),
    peaks && waveform(peaks),
    ...marks.map(({ at, text, kind: mark }) => place(el('span', { class: `mark ${mark}`, title: text }, text), at)),
  );
}

/** A waveform as one path, which is as wide as its lane. */
function waveform(peaks) {
  const svg = document.createElementNS(SVG, 'svg');
  const path = document.createElementNS(SVG, 'path');
  svg.setAttribute('viewBox', `0 -1 ${peaks.length} 2`);
  svg.setAttribute('preserveAspectRatio', 'none');
  // Quiet speech is to be seen beside loud speech.
  const heights = Array.from(peaks, (peak) => Math.max(0.015, Math.sqrt(peak)).toFixed(3));
  const above = heights.map((height, n) => `${n} -${height}`).join('L');
  const below = heights.map((height, n) => `${n} ${height}`).reverse().join('L');
  path.setAttribute('d', `M${above}L${below}Z`);
  svg.append(path);
  return svg;
}

function words(place, said) {
  const bubbles = said.map(({ from, to, text }) => place(el('span', { class: 'bubble', title: text }, text), from, to));
  return el('div', { class: 'lane-words' }, ...bubbles);
}

const callerSpans = (turns) =>
  turns
    .filter(({ speechBeganAtMs, speechEndedAtMs }) => speechBeganAtMs != null && speechEndedAtMs != null)
    .map(({ speechBeganAtMs, speechEndedAtMs }) => ({ from: speechBeganAtMs, to: speechEndedAtMs }));

/** From the first audio that was heard to the end of the prompt, or to its cut. */
function agentSpans(lines, turns, ms) {
  const ends = lines.filter(({ what }) => what === 'played' || what === 'barge-in' || what === 'ended');
  return turns
    .filter(({ firstAudioHeardAtMs }) => firstAudioHeardAtMs != null)
    .map(({ firstAudioHeardAtMs: from }) => ({ from, to: ends.find(({ atMs }) => atMs > from)?.atMs ?? ms }));
}

const callerMarks = (lines) =>
  lines.filter(({ what }) => what === 'digit').map(({ atMs }) => ({ at: atMs, text: '⌨', kind: 'key' }));

const agentMarks = (lines) => [
  ...lines.filter(({ what }) => what === 'barge-in').map(({ atMs, cutMs }) => ({ at: atMs, text: `✂ ${seconds(cutMs)} cut`, kind: 'cut' })),
  ...lines.filter(({ what }) => what === 'failed').map(({ atMs }) => ({ at: atMs, text: '✕', kind: 'fault' })),
];

function callerWords(lines, turns) {
  const said = lines.filter(({ what, isFinal, text }) => what === 'transcript' && isFinal && text);
  return apart(
    said.map(({ turn, text, atMs }) => ({ from: turns.find((other) => other.turn === turn)?.speechBeganAtMs ?? atMs, text })),
  );
}

function agentWords(lines, turns) {
  const said = lines.filter(({ what, text }) => what === 'answered' && text);
  return apart(
    said.map(({ turn, text, atMs }) => ({ from: turns.find((other) => other.turn === turn)?.firstAudioHeardAtMs ?? atMs, text })),
  );
}

/** Each text reaches to the next one. Several of one moment are one. */
function apart(said) {
  const merged = [];
  for (const { from, text } of [...said].sort((a, b) => a.from - b.from)) {
    if (merged.at(-1)?.from === from) merged.at(-1).text += ` ${text}`;
    else merged.push({ from, text });
  }
  return merged.map(({ from, text }, n) => ({ from, to: merged[n + 1]?.from, text }));
}

/** The stages of each turn, one after the other. */
function stageRow(place, turns) {
  const bars = turns.flatMap(({ turn, intervals = {}, slowStage, latencyMs }) => {
    const all = Object.keys(STAGES).filter((stage) => intervals[stage]?.[1] > intervals[stage]?.[0]);
    const stages = all.map((stage) => {
      const [from, to] = intervals[stage];
      const isSlow = stage === slowStage;
      const title = `turn ${turn}: ${STAGES[stage]} ${seconds(to - from)}${isSlow ? ', slow' : ''}`;
      return place(el('span', { class: `stage ${stage}${isSlow ? ' slow' : ''}`, title }), from, to);
    });
    const end = Math.max(...all.map((stage) => intervals[stage][1]));
    const told = slowStage ? `${seconds(latencyMs)} slow: ${STAGES[slowStage] ?? slowStage}` : seconds(latencyMs ?? 0);
    const label = all.length > 0 && latencyMs != null && place(el('span', { class: `wait${slowStage ? ' slow' : ''}` }, told), end);
    return label ? [...stages, label] : stages;
  });
  return el('div', { class: 'stage-row' }, el('span', { class: 'lane-name' }, 'Wait'), ...bars);
}

function legend(turns) {
  const used = Object.keys(STAGES).filter((stage) => turns.some(({ intervals }) => intervals?.[stage]?.[1] > intervals?.[stage]?.[0]));
  const items = used.map((stage) => el('li', {}, el('span', { class: `swatch ${stage}` }), STAGES[stage]));
  return items.length > 0 ? el('ul', { class: 'legend', 'aria-label': 'Stages of a turn' }, ...items) : undefined;
}

/** Three buttons that change the width of the track. */
function zoomer(track, scroll, ms) {
  const widen = (px) => {
    track.style.width = `max(100%, ${Math.round(px)}px)`;
  };
  const set = (px) => {
    const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / (track.offsetWidth || 1);
    widen(Math.min((MAX_SECOND_PX * ms) / 1000, px));
    scroll.scrollLeft = middle * track.offsetWidth - scroll.clientWidth / 2;
  };
  widen((SECOND_PX * ms) / 1000);
  const [more, less] = [() => set(track.offsetWidth * 1.6), () => set(track.offsetWidth / 1.6)];
  const button = (text, label, act) => {
    const made = el('button', { type: 'button', class: 'small', 'aria-label': label }, text);
    made.addEventListener('click', act);
    return made;
  };
  const buttons = [button('−', 'Zoom out', less), button('+', 'Zoom in', more), button('Fit', 'Show the whole call', () => set(0))];
  return { buttons, more, less };
}

/** The player's button and its position, and what moves with it. */
function playerOf(recording, { head, scroll, track, ms }) {
  const button = el('button', { type: 'button', class: 'small primary play' }, '▶ Play');
  const range = el('input', { type: 'range', min: '0', max: String(Math.round(recording.ms)), value: '0', step: '100', 'aria-label': 'Position' });
  const time = el('span', { class: 'quiet time' }, `0:00 / ${length(recording.ms)}`);
  const moved = (at) => {
    range.value = String(at);
    range.setAttribute('aria-valuetext', `${length(at)} of ${length(recording.ms)}`);
    time.textContent = `${length(at)} / ${length(recording.ms)}`;
    head.hidden = false;
    head.style.left = `${(100 * at) / ms}%`;
    const x = (at / ms) * track.offsetWidth;
    if (x < scroll.scrollLeft || x > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = x - 40;
  };
  const changed = () => {
    button.textContent = player.isPlaying ? '❚❚ Pause' : '▶ Play';
  };
  const player = new Player(recording, { moved, changed });
  button.addEventListener('click', () => player.toggle());
  range.addEventListener('input', () => player.seek(Number(range.value)));
  return { player, tools: [button, range, time] };
}

/** Space plays, arrows move, + and - zoom. */
function onKey(event, { player, zoom }) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = {
    ' ': () => player?.toggle(),
    ArrowLeft: player && (() => player.seek(player.ms - STEP_MS)),
    ArrowRight: player && (() => player.seek(player.ms + STEP_MS)),
    '+': zoom.more,
    '-': zoom.less,
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}
