// What the lanes of a call show, made of its lines: who spoke when, the words, keys and cuts, and the stages of each turn.

import { seconds } from './dom.js';

/** The stages of a turn, in the order in which they happen, with what they are called here. */
export const STAGES = {
  waiting: 'waiting for a stream',
  recogniser: 'recogniser',
  agent: 'agent',
  'first-audio': 'first audio',
  playout: 'playout',
};

/**
 * The content of a call's lanes, with all times in milliseconds. Something without a `to` still goes on. `spoke` is the
 * turn in which the caller was heard last, and since when, if the call is live.
 */
export function contentOf(lines, spoke) {
  const turns = lines.filter(({ what }) => what === 'stages');
  return {
    turns,
    caller: { spans: callerSpans(lines, turns, spoke), marks: callerMarks(lines), words: callerWords(lines, turns, spoke) },
    agent: { spans: agentSpans(lines, turns), marks: agentMarks(lines), words: agentWords(lines, turns) },
    stages: [...turns.flatMap(stagesOf), ...thinking(lines, turns)],
  };
}

function callerSpans(lines, turns, spoke) {
  const known = turns
    .filter(({ speechBeganAtMs, speechEndedAtMs }) => speechBeganAtMs != null && speechEndedAtMs != null)
    .map(({ speechBeganAtMs, speechEndedAtMs }) => ({ from: speechBeganAtMs, to: speechEndedAtMs }));
  const isTold = !spoke || turns.some(({ turn }) => turn === spoke.turn) || lines.some(({ what }) => what === 'ended');
  if (isTold) return known;
  const over = lines.findLast(({ what, turn }) => what === 'utterance-over' && turn === spoke.turn);
  return [...known, { from: spoke.atMs, to: over && Math.max(spoke.atMs, over.atMs - (over.silenceMs ?? 0)) }];
}

/** From the first audio that was heard to the end of the prompt, or to its cut. */
function agentSpans(lines, turns) {
  const ends = lines.filter(({ what }) => what === 'played' || what === 'barge-in' || what === 'ended');
  const heard = turns.filter(({ firstAudioHeardAtMs }) => firstAudioHeardAtMs != null).map((turn) => turn.firstAudioHeardAtMs);
  // A turn's stages are told when its answer is heard. Until then the answer's own line says when it came.
  const answered = lines.filter(({ what, turn, audioMs }) => what === 'answered' && audioMs > 0 && !isIn(turns, turn));
  return [...heard, ...answered.map(({ atMs }) => atMs)].map((from) => ({ from, to: ends.find(({ atMs }) => atMs > from)?.atMs }));
}

const callerMarks = (lines) =>
  lines.filter(({ what }) => what === 'digit').map(({ atMs }) => ({ at: atMs, text: '⌨', kind: 'key' }));

const agentMarks = (lines) => [
  ...lines.filter(({ what }) => what === 'barge-in').map(({ atMs, cutMs }) => ({ at: atMs, text: `✂ ${seconds(cutMs)} cut`, kind: 'cut' })),
  ...lines.filter(({ what }) => what === 'failed').map(({ atMs }) => ({ at: atMs, text: '✕', kind: 'fault' })),
];

function callerWords(lines, turns, spoke) {
  const said = lines.filter(({ what, text }) => what === 'transcript' && text);
  const began = ({ turn, atMs }) => turnOf(turns, turn)?.speechBeganAtMs ?? (spoke?.turn === turn ? spoke.atMs : atMs);
  return apart(said.map((line) => ({ from: began(line), text: line.text })));
}

function agentWords(lines, turns) {
  const said = lines.filter(({ what, text }) => what === 'answered' && text);
  return apart(said.map(({ turn, text, atMs }) => ({ from: turnOf(turns, turn)?.firstAudioHeardAtMs ?? atMs, text })));
}

const turnOf = (turns, turn) => turns.find((other) => other.turn === turn);

const isIn = (turns, turn) => turnOf(turns, turn) !== undefined;

/** Each text reaches to the next one. Several of one moment are one. */
function apart(said) {
  const merged = [];
  for (const { from, text } of [...said].sort((a, b) => a.from - b.from)) {
    if (merged.at(-1)?.from === from) merged.at(-1).text += ` ${text}`;
    else merged.push({ from, text });
  }
  return merged.map(({ from, text }, n) => ({ from, to: merged[n + 1]?.from, text }));
}

/** The stages of a turn, one after the other. The last one has the wait of all. */
function stagesOf({ turn, intervals = {}, slowStage, latencyMs }) {
  const all = Object.keys(STAGES).filter((stage) => intervals[stage]?.[1] > intervals[stage]?.[0]);
  const isSlow = all.includes(slowStage);
  const wait = isSlow ? `${seconds(latencyMs ?? 0)} slow: ${STAGES[slowStage]}` : seconds(latencyMs ?? 0);
  const last = Math.max(...all.map((stage) => intervals[stage][1]));
  return all.map((stage) => {
    const [from, to] = intervals[stage];
    const told = `turn ${turn}: ${STAGES[stage]} ${seconds(to - from)}${stage === slowStage ? ', slow' : ''}`;
    const label = latencyMs != null && to === last ? { text: wait, isSlow } : undefined;
    return { stage, from, to, text: told, isSlow: stage === slowStage, label };
  });
}

/** The agent's part of the turn that waits for its answer now, if one does. */
function thinking(lines, turns) {
  const last = lines.findLast(({ what, input }) => what === 'utterance-over' || (what === 'turn' && input !== 'audio'));
  const isOver = ({ what, turn }) => ['answered', 'failed'].includes(what) && turn === last.turn;
  const waits = last && last.spoken !== false && !isIn(turns, last.turn);
  if (!waits || lines.some((line) => isOver(line) || ['handed-off', 'ended'].includes(line.what))) return [];
  return [{ stage: 'agent', from: last.atMs, text: `turn ${last.turn}: the agent thinks`, isSlow: false }];
}
