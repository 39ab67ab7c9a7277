// The calls of this instance: the live ones as they happen, and the last ones with their timelines.

import { callItem, closeItem, isShown, openWith, renewItem, takeView } from './call_item.js';
import { ask, by, urlOf } from './dom.js';
import { showStrip } from './strip.js';

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
      const told = JSON.parse(data);
      onState('');
      onInstance(told.instance);
      show(told);
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
  by('find').addEventListener('input', filter);
  by('choice').addEventListener('change', filter);
  addEventListener('hashchange', onAddress);
  onAddress();
  addEventListener('pagehide', close);
  follow();
}

function close() {
  clearTimeout(again);
  source?.close();
}

/** The calls as they were told last. */
let calls = { live: [], finished: [] };

function show(told) {
  const { liveCount, live } = told;
  calls = told;
  // Before anything moves on the page.
  const left = takeOver(live);
  showStrip(liveCount, told.lastHour);
  by('live-count').textContent = liveCount === 1 ? '1 live call' : `${liveCount} live calls`;
  by('live-more').hidden = liveCount <= live.length;
  by('live-more').textContent = `The ${live.length} oldest are shown.`;
  by('live-none').hidden = liveCount > 0;
  renew(by('live-list'), live);
  filter();
  left.forEach(stayOpen);
  openLinked();
}

/** What is shown of the open live calls that are not among these any more, with their ids. */
function takeOver(live) {
  const ids = new Set(live.map(({ id }) => String(id)));
  const gone = [...by('live-list').children].filter(({ dataset }) => !ids.has(dataset.id));
  return gone.map((item) => ({ id: item.dataset.id, taken: takeView(item) })).filter(({ taken }) => taken);
}

/** A call that was open while it was live stays open when it is over. */
function stayOpen({ id, taken }) {
  const call = calls.finished.find((call) => String(call.id) === id);
  const item = [...by('finished-list').children].find(({ dataset }) => dataset.id === id);
  if (call && item) openWith(item, taken, call);
  else taken.view.close();
}

/** Shows the finished calls that the filter lets through. */
function filter() {
  const { finished } = calls;
  const shown = finished.filter((call) => isShown(call, { choice: by('choice').value, text: by('find').value }));
  by('finished-none').hidden = shown.length > 0;
  by('finished-none').textContent = finished.length === 0 ? 'None yet.' : 'No call is like that. Change the filter.';
  renew(by('finished-list'), shown);
}

/** Updates the list to these calls. An element stays, so that it keeps its focus and stays open. */
function renew(list, calls) {
  const known = new Map([...list.children].map((child) => [child.dataset.id, child]));
  const elements = calls.map((call) => {
    const text = JSON.stringify(call);
    const element = known.get(String(call.id)) ?? callItem(call, { isLive: list.id === 'live-list' });
    if (element.dataset.call !== text) renewItem(element, call);
    element.dataset.id = call.id;
    element.dataset.call = text;
    return element;
  });
  const gone = [...known.values()].filter((child) => !elements.includes(child));
  gone.forEach((child) => {
    closeItem(child);
    child.remove();
  });
  elements.forEach((element, n) => {
    if (list.children[n] !== element) list.insertBefore(element, list.children[n] ?? null);
  });
}

/** The id of the item that is to be opened as soon as it is there. */
let linked;

/** Opens the call that is to be opened. */
function openLinked() {
  const isKept = [...calls.live, ...calls.finished].some(({ callSid }) => linked === `call-${callSid}`);
  by('link-none').hidden = !linked || isKept;
  const details = linked && document.getElementById(linked)?.querySelector('details');
  if (!details) return;
  linked = undefined;
  details.open = true;
  details.scrollIntoView({ block: 'nearest' });
}

/** The address names a call after `#`. */
function onAddress() {
  if (!location.hash.startsWith('#call-')) return;
  linked = location.hash.slice(1);
  if (calls.lastHour) openLinked();
}
