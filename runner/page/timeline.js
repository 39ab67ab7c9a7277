// A call's timeline: who did what, when.

import { el, seconds } from './dom.js';

/** The words for a line: who it is about, then what happened. Undefined for a line that is not shown. */
function told(line) {
  switch (line.what) {
    case 'started':
      return ['call', 'the stream has started'];
    case 'turn':
      return ['service', `turn ${line.turn} opens (${line.input})`];
    case 'transcript':
      return ['caller', line.isFinal ? quoted(line.text) : el('span', { class: 'passing' }, line.text ? quoted(line.text) : 'speaks')];
    case 'utterance-over':
      return line.spoken ? ['caller', 'has stopped speaking'] : ['caller', 'has said nothing'];
    case 'answered':
      return ['agent', `answers after ${seconds(line.thoughtMs)}`, line.intent && chip(line.intent), said(line), parameters(line)];
    case 'stages':
      return ['service', stages(line)];
    case 'barge-in':
      return ['caller', `interrupts (by ${line.by}): ${seconds(line.playedMs)} were heard, ${seconds(line.cutMs)} cut`];
    case 'played':
      return ['caller', `has heard the agent out, ${seconds(line.playedMs)}`];
    case 'failed':
      return ['agent', el('strong', {}, `turn ${line.turn} failed: ${line.fault}`), again(line)];
    case 'digit':
      return ['caller', 'presses a key'];
    case 'digits':
      return ['caller', line.count === 1 ? 'has pressed one key' : `has pressed ${line.count} keys`];
    case 'no-input':
      return ['caller', `says nothing, ${line.inARow} in a row`];
    case 'payload':
      return ['agent', 'sends a custom payload', json(line.payload)];
    case 'note':
      return ['service', line.more ? `${line.text}: ${line.more}` : line.text];
    case 'handed-off':
      return ['service', 'hands the call on: ', chip(line.status)];
    case 'twiml':
      return ['service', 'a phone call would get this now', folded('TwiML', line.twiml)];
    case 'ended':
      return ['call', `is over: ${line.reason}`];
    default:
      return undefined;
  }
}

/** A timeline as a list. A fault that comes again and again is shown once, with its count. */
export class Timeline {
  element = el('ol', { class: 'timeline' });
  /** The items that are shown, by what they show: they stay, so that what somebody has unfolded in them stays so too. */
  #items = new Map();

  show(lines) {
    const times = new Map();
    for (const line of lines.filter(isFault)) {
      const { count = 0 } = times.get(faultOf(line)) ?? {};
      times.set(faultOf(line), { count: count + 1, lastMs: line.atMs });
    }
    const items = new Map();
    for (const line of lines) {
      const seen = isFault(line) ? times.get(faultOf(line)) : { count: 1 };
      if (!seen) continue;
      if (isFault(line)) times.delete(faultOf(line));
      const shows = `${line.number} ${seen.count}`;
      const shown = this.#items.get(shows) ?? item(line, seen);
      if (shown) items.set(shows, shown);
    }
    for (const [shows, old] of this.#items) if (!items.has(shows)) old.remove();
    [...items.values()].forEach((shown, n) => {
      if (this.element.children[n] !== shown) this.element.insertBefore(shown, this.element.children[n] ?? null);
    });
    this.#items = items;
  }
}

/** The item for a line, or for all that are the same; undefined for a line that is not shown. */
function item(line, { count, lastMs }) {
  const [who, ...what] = told(line) ?? [];
  if (!who) return undefined;
  if (count > 1) what.push(chip(`${count} times, last at ${(lastMs / 1000).toFixed(3)}`));
  const at = (line.atMs / 1000).toFixed(3);
  const words = what.filter(Boolean).flatMap((part, n) => (n === 0 ? [part] : [' ', part]));
  const kind = line.what === 'failed' ? 'bad' : line.isWarning ? 'warn' : undefined;
  return el('li', { class: kind }, el('span', { class: 'at' }, at), el('span', { class: `who ${who}` }, who), el('span', {}, ...words));
}

const isFault = ({ what, isWarning }) => what === 'failed' || (what === 'note' && isWarning === true);

/** What two faults have in common if they are the same: all but the turn and the time. */
const faultOf = ({ what, fault, text, more }) => JSON.stringify([what, fault, text, more]);

/** The parts of a turn's latency: each stage counted from the end of the utterance, and the slow stage if any. */
export function stages(line) {
  const from = line.speechEndedAtMs ?? line.inputCompleteAtMs ?? line.openedAtMs;
  const named = [
    ['recognised', line.finalTranscriptAtMs],
    ['answered', line.answeredAtMs],
    ['sent', line.firstAudioSentAtMs],
    ['heard', line.firstAudioHeardAtMs],
  ];
  const known = named.filter(([, at]) => at !== null).map(([name, at]) => `${name} ${signed(at - from)}`);
  const latency = line.latencyMs === null ? 'no answer' : `${seconds(line.latencyMs)} until the answer`;
  const slow = line.slowStage === null ? [] : [`slow because of ${line.slowStage}`];
  return [`turn ${line.turn}: ${latency}`, ...known, ...slow].join(' · ');
}

/** Seconds with a sign and two decimals. */
const signed = (ms) => `${ms <= -5 ? '−' : '+'}${(Math.abs(ms) / 1000).toFixed(2)}`;

export const quoted = (text) => `“${text}”`;

export const chip = (text) => el('span', { class: 'chip' }, text);

const again = (line) => (line.retryInMs === null ? undefined : `(tried again in ${seconds(line.retryInMs)})`);

const said = (line) => (line.text ? quoted(line.text) : undefined);

/** The parameters of an answer, folded. Undefined if it has none. */
export function parameters(line) {
  return line.parameters ? json(line.parameters, 'parameters') : undefined;
}

const json = (value, name = 'show') => folded(name, JSON.stringify(value, null, 2));

/** A text that somebody can unfold. */
export function folded(name, text) {
  return el('details', { class: 'folded' }, el('summary', {}, name), el('pre', {}, text));
}
