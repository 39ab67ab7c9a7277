// One call in a list: a line that opens.

import { CallView } from './call_view.js';
import { clock, el, length, seconds } from './dom.js';
import { chip } from './timeline.js';

/** What became of a call, in words and in a colour. */
const OUTCOMES = {
  completed: ['completed', 'good'],
  person: ['to a person', 'good'],
  'turned-away': ['all lines were busy: MAX_CALLS', 'bad'],
  'person-missed': ['a person was asked for, and the call was hung up', 'warn'],
  paused: ['paused', 'good'],
  continues: ['goes on over another stream', 'good'],
  'hung-up': ['the caller hung up', 'plain'],
  limit: ['ended by a limit', 'warn'],
  failed: ['failed', 'bad'],
  broken: ['broke off', 'bad'],
};

/** The calls that a choice of the filter shows, by their outcomes. */
const CHOICES = {
  all: () => true,
  trouble: ({ outcome, failed }) => failed > 0 || ['warn', 'bad'].includes(OUTCOMES[outcome]?.[1]),
  recorded: ({ tape }) => tape !== null,
};

/** Whether a filter shows this call: `choice` is one of the above, `text` a part of its CallSid or of its agent's name. */
export function isShown(call, { choice, text }) {
  const isFound = [call.callSid, call.agent, call.backupOf ?? ''].some((name) => name.toLowerCase().includes(text.trim().toLowerCase()));
  return isFound && (CHOICES[choice] ?? CHOICES.all)(call);
}

/** What is shown in each item that was opened. */
const views = new WeakMap();

/** An item for a call. A live one shows what happens as long as it is open. */
export function callItem(call, { isLive }) {
  const body = el('div', { class: 'unfolded' });
  const details = el('details', {}, el('summary', {}, ...row(call)), body);
  const item = el('li', { id: `call-${call.callSid}` }, details);
  details.addEventListener('toggle', () => {
    if (!details.open) {
      if (isLive) closeItem(item);
    } else if (!views.has(item)) {
      const view = new CallView(body);
      views.set(item, view);
      if (isLive) view.follow(call);
      else void view.finish(call);
    }
  });
  return item;
}

/** Takes out what an open item shows, to be shown by the item of the same call that is over. Undefined if it is not open. */
export function takeView(item) {
  const view = views.get(item);
  if (!view || !item.querySelector('details').open) return undefined;
  views.delete(item);
  return { view, leave: view.leave() };
}

/** Opens the item of a call that is over with what was shown while it was live. */
export function openWith(item, { view, leave }, call) {
  views.set(item, view);
  item.querySelector('details').open = true;
  leave(item.querySelector('.unfolded'));
  void view.finish(call);
}

/** Ends what an item shows. */
export function closeItem(item) {
  views.get(item)?.close();
  views.delete(item);
}

/** Shows a call that has changed in its item. */
export function renewItem(item, call) {
  item.querySelector('summary').replaceChildren(...row(call));
  views.get(item)?.renew(call);
}

function row(call) {
  return [
    el('span', { class: 'when' }, clock(call.beganMs)),
    el('span', {}, call.backupOf ? `${call.agent}, for ${call.backupOf}` : call.agent),
    chip(call.kind),
    call.outcome === null ? el('span', { class: 'state' }, call.state) : el('span', {}, length(call.tookMs ?? 0)),
    el('span', {}, turns(call)),
    el('span', { class: 'quiet' }, waits(call)),
    call.outcome !== null && outcome(call),
  ].filter(Boolean);
}

function outcome(call) {
  const [word, kind] = OUTCOMES[call.outcome] ?? [call.outcome, 'plain'];
  return el('span', { class: `outcome ${kind}` }, call.outcome === 'broken' ? `${word}: ${call.reason}` : word);
}

function turns({ turns, failed }) {
  const all = turns === 1 ? '1 turn' : `${turns} turns`;
  return failed > 0 ? `${all}, ${failed} failed` : all;
}

/** The last wait for an answer, and the median of the last ones. */
function waits({ latenciesMs }) {
  if (latenciesMs.length === 0) return '';
  const sorted = [...latenciesMs].sort((a, b) => a - b);
  return `wait ${seconds(latenciesMs.at(-1))}, median ${seconds(sorted[Math.floor((sorted.length - 1) / 2)])}`;
}
