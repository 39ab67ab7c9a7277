// The calls of this instance: the live ones as they happen, and the last ones with their timelines.

import { showCall } from './call_view.js';
import { ask, by, clock, el, length, seconds, urlOf } from './dom.js';
import { chip } from './timeline.js';

/** How long after a failure we open the event stream again, in milliseconds. */
const AGAIN_AFTER = 3000;

let source;
let again;

/**
 * Shows the calls while the page is visible. `onState(sentence)` gets why the list stands still, or '' if it does not.
 * `onInstance(name)` gets the name of the instance that has the calls.
 */
export function followCalls({ onState, onInstance }) {
  const follow = () => {
    close();
    if (document.hidden) return;
    source = new EventSource(urlOf('/calls/events'));
    source.addEventListener('calls', ({ data }) => {
      const calls = JSON.parse(data);
      onState('');
      onInstance(calls.instance);
      show(calls);
    });
    source.addEventListener('draining', () => onState('This instance is ending: its calls go over to another one.'));
    source.onerror = async () => {
      const broken = source;
      const why = await ask('/status.json').then(() => '', (error) => error.message);
      if (broken !== source) return;
      if (why) onState(`The list of calls stands still. ${why}`);
      // The browser opens it again itself, unless the service has refused it.
      if (broken.readyState === EventSource.CLOSED) again = setTimeout(follow, AGAIN_AFTER);
    };
  };
  document.addEventListener('visibilitychange', follow);
  addEventListener('pagehide', close);
  follow();
}

function close() {
  clearTimeout(again);
  source?.close();
}

function show({ liveCount, live, finished }) {
  by('live-count').textContent = liveCount === 1 ? '1 live call' : `${liveCount} live calls`;
  by('live-more').hidden = liveCount <= live.length;
  by('live-more').textContent = `The ${live.length} oldest are shown.`;
  by('live-none').hidden = liveCount > 0;
  by('live-table').hidden = liveCount === 0;
  renew(by('live-rows'), live, liveRow);
  by('finished-none').hidden = finished.length > 0;
  renew(by('finished-list'), finished, finishedItem);
}

/** Updates the list to these calls. An unchanged element stays, so that it keeps its focus and stays unfolded. */
function renew(list, calls, make) {
  const known = new Map([...list.children].map((child) => [child.dataset.id, child]));
  const elements = calls.map((call) => {
    const text = JSON.stringify(call);
    const there = known.get(String(call.id));
    if (there?.dataset.call === text) return there;
    const element = make(call);
    element.dataset.id = call.id;
    element.dataset.call = text;
    return element;
  });
  elements.forEach((element, n) => {
    if (list.children[n] !== element) list.insertBefore(element, list.children[n] ?? null);
  });
  while (list.children.length > elements.length) list.lastElementChild.remove();
}

function liveRow(call) {
  const cells = [
    ['Began', clock(call.beganMs)],
    ['Agent', call.agent],
    ['From', call.kind],
    ['State', el('span', { class: `state ${call.state.replaceAll(' ', '-')}` }, call.state)],
    ['Turns', turns(call)],
    ['Latencies', latencies(call)],
  ];
  return el('tr', {}, ...cells.map(([name, value]) => el('td', { 'data-name': name }, value)));
}

const turns = (call) => (call.failed > 0 ? `${call.turns}, ${call.failed} failed` : String(call.turns));

/** The last latency, and the median of the last ones. */
function latencies({ latenciesMs }) {
  if (latenciesMs.length === 0) return '–';
  const sorted = [...latenciesMs].sort((a, b) => a - b);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  return `${seconds(latenciesMs.at(-1))} (median ${seconds(middle)})`;
}

function finishedItem(call) {
  const body = el('div', { class: 'unfolded' });
  const details = el('details', {}, summary(call), body);
  details.addEventListener('toggle', () => void (details.open && body.childElementCount === 0 && showCall(call, body)));
  return el('li', {}, details);
}

function summary(call) {
  return el(
    'summary',
    {},
    el('span', { class: 'when' }, clock(call.beganMs)),
    el('span', {}, call.agent),
    chip(call.kind),
    el('span', {}, length(call.tookMs ?? 0)),
    el('span', {}, call.turns === 1 ? '1 turn' : `${call.turns} turns`),
    el('span', { class: 'reason' }, call.status ?? call.reason),
  );
}
