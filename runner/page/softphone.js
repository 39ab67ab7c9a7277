// The softphone: calls an agent from the browser, and shows the call as it happens.

import { AudioFault, unable } from './audio.js';
import { Call, KEYS } from './call.js';
import { ask, by, el, length, seconds, urlOf } from './dom.js';
import { beginLevels } from './levels.js';
import { chip, folded, parameters, quoted, stages } from './timeline.js';

/** How often we look for the instance that has the call, and how long we wait in between, in milliseconds. */
const LOOKS = 15;
const LOOK_AGAIN_AFTER = 700;

/** The current call, if there is one. */
let call;
let events;
/** How loud both sides of the call are, for its lanes. */
let levels;
let ticking;
let begun;
/** How the agent's part of the call ended. */
let status;
/** Whether the page has said how the last call ended. */
let isConcluded = false;

/** Makes the softphone ready for these agents. */
export function showSoftphone(agents) {
  by('agent').replaceChildren(...agents.map(({ name, isDefault }) => el('option', { value: name, selected: isDefault }, name)));
  const onAgent = () => {
    const agent = agents.find(({ name }) => name === by('agent').value);
    const isDemo = Boolean(agent?.isLab && !agent.script);
    by('language').placeholder = agent?.language ?? '';
    by('tries').hidden = !isDemo;
    by('call').textContent = isDemo ? 'Call the demo bakery' : 'Call';
  };
  by('agent').addEventListener('change', onAgent);
  onAgent();
  by('keypad').replaceChildren(...KEYS.map((key) => keyButton(key)));
  by('dial').addEventListener('submit', (event) => {
    event.preventDefault();
    void begin();
  });
  by('without').addEventListener('click', () => void begin({ withMicrophone: false }));
  by('hang-up').addEventListener('click', () => call?.end());
  by('mute').addEventListener('click', toggleMute);
  document.addEventListener('keydown', onKey);
  addEventListener('pagehide', () => call?.end());
  const fault = unable();
  if (fault) {
    tell(fault, 'bad');
    by('call').disabled = true;
  }
}

const NAMES = { '*': 'star', '#': 'hash' };

function keyButton(key) {
  const button = el('button', { type: 'button', disabled: true, 'data-key': key, 'aria-label': NAMES[key] ?? key }, key);
  button.addEventListener('click', () => press(key));
  return button;
}

function press(key) {
  if (!call) return;
  call.press(key);
  const button = document.querySelector(`[data-key="${key}"]`);
  button.classList.add('pressed');
  setTimeout(() => button.classList.remove('pressed'), 150);
}

/** The keyboard presses the telephone's keys, unless somebody types into a field. */
function onKey(event) {
  const isWriting = event.target.closest('input, select, textarea');
  const isShortcut = event.ctrlKey || event.metaKey || event.altKey;
  if (!call || isWriting || isShortcut || event.repeat || !KEYS.includes(event.key)) return;
  event.preventDefault();
  press(event.key);
}

function toggleMute() {
  const muted = by('mute').getAttribute('aria-pressed') !== 'true';
  by('mute').setAttribute('aria-pressed', muted);
  call?.mute(muted);
}

async function begin(options) {
  clear();
  setBusy();
  tell(options?.withMicrophone === false ? 'Connecting, without a microphone…' : 'Asking for the microphone…');
  const started = () => {
    levels = beginLevels(begun.ticket.callSid);
  };
  const on = { started, levels: showLevels, over: (how) => void over(how) };
  try {
    call = await Call.begin(on, options);
    setLive(true);
    by('hang-up').focus();
    tell('Connecting…');
    const form = new URLSearchParams({ agent: by('agent').value, language: by('language').value });
    const ticket = await ask('/softphone', { method: 'POST', body: form });
    begun = { at: performance.now(), ticket };
    call?.stream({ path: ticket.media, callSid: ticket.callSid, parameters: customParameters() });
    follow(ticket.events, LOOKS);
    tell('Connected.', 'good');
    ticking = setInterval(tick, 500);
  } catch (error) {
    const opened = call;
    conclude(error.message, 'bad');
    opened?.end();
    setLive(false);
    by('without').hidden = !(error instanceof AudioFault && error.mayGoOn);
  }
}

/** The parameters that the TwiML of a phone call would name: the two numbers, and a session parameter for each line. */
function customParameters() {
  const all = {};
  if (by('from').value) all.from = by('from').value;
  if (by('to').value) all.to = by('to').value;
  for (const line of by('params').value.split('\n')) {
    const [name, ...value] = line.split('=');
    if (name.trim() && value.length > 0) all[`param.${name.trim()}`] = value.join('=').trim();
  }
  return all;
}

function tick() {
  by('timer').textContent = length(performance.now() - begun.at);
}

/** Shows the events of the call. If the request reaches an instance that does not have the call, we try again. */
function follow(path, looks) {
  events = new EventSource(urlOf(path));
  const source = events;
  source.addEventListener('line', ({ data }) => show(JSON.parse(data)));
  source.addEventListener('over', ({ data }) => {
    source.close();
    onReason(JSON.parse(data).reason);
  });
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED || source !== events) return;
    if (looks > 1 && call) setTimeout(() => call && follow(path, looks - 1), LOOK_AGAIN_AFTER);
    else if (call) note('What is said cannot be shown: another instance has this call. On Cloud Run, --session-affinity helps.');
  };
}

/** The service has ended the call. */
function onReason(reason) {
  if (REASONS[reason]) conclude(REASONS[reason], 'bad');
  call?.end('closed');
}

const REASONS = {
  'migrated': 'This instance is ending. A phone call would have gone on at another one; wait ten seconds, reload the page and call again.',
  'no frames': 'For half a minute no audio came from this page. Keep it in front, and call again.',
  'no start': 'The call did not begin in time. Call again.',
  'twilio does not read': 'This page no longer takes what the agent says. Look at the connection, and call again.',
  'taken over': 'Another connection has this call now.',
  'broke off': "The service has failed in the middle of the call. Its log says why; please report it.",
};

const HOW = {
  'hung up': 'You have hung up.',
  'closed': 'The call is over.',
  'stuck': 'The network takes no audio any more. Look at the connection, and call again.',
  'lost': 'The microphone has gone. Connect it, and call again.',
};

async function over(how) {
  call = undefined;
  levels = undefined;
  clearInterval(ticking);
  const hadFocus = by('hang-up') === document.activeElement;
  setLive(false);
  if (hadFocus) by('call').focus();
  showLevels({ microphone: 0, loudspeaker: 0 });
  // The last lines still come. We wait for them, but not for ever.
  const source = events;
  setTimeout(() => source?.close(), 5000);
  if (how === 'refused') {
    source?.close();
    conclude(await whyRefused(), 'bad');
  } else if (!isConcluded) {
    conclude(HOW[how], how === 'hung up' || how === 'closed' ? '' : 'bad');
  }
}

/** Why the media socket was refused. The browser does not say, so we ask the service. */
async function whyRefused() {
  try {
    const { isDraining } = await ask('/status.json');
    if (isDraining) return 'This instance is ending. Wait ten seconds, reload the page and call again.';
    return 'The media socket was refused. A ticket holds for one minute and one call: call again. If it stays so, what stands before the service must let WebSockets through.';
  } catch (error) {
    return error.message;
  }
}

/** Disables the form while a call begins. */
function setBusy() {
  by('call').disabled = true;
  by('without').hidden = true;
  by('options').disabled = true;
}

function setLive(live) {
  by('call').disabled = live;
  by('options').disabled = live;
  for (const id of ['hang-up', 'mute']) by(id).disabled = !live;
  for (const button of by('keypad').children) button.disabled = !live;
  by('softphone').classList.toggle('live', live);
}

function clear() {
  events?.close();
  by('conversation').replaceChildren();
  by('handoff').replaceChildren();
  by('timer').textContent = '';
  isConcluded = false;
  by('mute').setAttribute('aria-pressed', 'false');
}

/** Says how a call ended. */
function conclude(sentence, mood) {
  isConcluded = true;
  tell(sentence, mood);
}

function tell(sentence, mood = '') {
  by('status').className = mood;
  by('status').textContent = sentence;
}

function showLevels({ microphone, loudspeaker }) {
  if (microphone !== undefined) {
    by('microphone').value = Math.sqrt(microphone);
    levels?.add('caller', microphone);
  }
  if (loudspeaker !== undefined) {
    by('loudspeaker').value = Math.sqrt(loudspeaker);
    levels?.add('agent', loudspeaker);
  }
}

/** Shows a line of the call's timeline. */
function show(line) {
  switch (line.what) {
    case 'transcript':
      hear(line);
      break;
    case 'answered':
      answer(line);
      break;
    case 'stages':
      note(stages(line), line.latencyMs === null ? '' : 'latency');
      break;
    case 'barge-in':
      note(`You interrupt: ${seconds(line.playedMs)} of the answer were heard, ${seconds(line.cutMs)} are cut.`);
      break;
    case 'digits':
      note(line.count === 1 ? 'One key goes to the agent.' : `${line.count} keys go to the agent.`);
      break;
    case 'no-input':
      note('You have said nothing.');
      break;
    case 'failed':
      fail(line);
      break;
    case 'note':
      note(line.more ? `${line.text}: ${line.more}` : line.text);
      break;
    case 'handed-off':
      status = line.status;
      break;
    case 'twiml':
      showHandoff(line.twiml);
      break;
    default:
  }
}

/** Shows a transcript of the caller. The next transcript replaces an interim one. */
function hear({ turn, text, isFinal }) {
  const passing = by('conversation').querySelector('.passing');
  const item = el('div', { class: isFinal ? 'said you' : 'said you passing' }, el('span', { class: 'who' }, 'You'), quoted(text), ' ');
  item.dataset.turn = turn;
  if (passing) passing.replaceWith(item);
  else add(item);
}

function answer(line) {
  const what = [line.text && quoted(line.text), line.intent && chip(line.intent), chip(`thought ${seconds(line.thoughtMs)}`), parameters(line)];
  const words = what.filter(Boolean).flatMap((part) => [part, ' ']);
  add(el('div', { class: 'said agent' }, el('span', { class: 'who' }, 'Agent'), ...words));
}

/** Shows a fault. One that comes again at once is counted. */
function fail({ fault, retryInMs }) {
  const then = retryInMs === null ? 'Look at its name, region and credentials.' : 'It is asked again.';
  const last = by('conversation').lastElementChild;
  const count = last?.dataset.fault === fault ? Number(last.dataset.count) + 1 : 1;
  if (count > 1) last.remove();
  const times = count > 1 ? ` (${count} times)` : '';
  add(el('div', { class: 'aside bad', 'data-fault': fault, 'data-count': count }, `The agent does not answer${times}: ${fault}. ${then}`));
}

function note(text, mood = '') {
  add(el('div', { class: `aside ${mood}` }, text));
}

function add(item) {
  const list = by('conversation');
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  list.append(item);
  if (atEnd) list.scrollTop = list.scrollHeight;
}

/** Shows the TwiML that a phone call would get. Twilio would stop the media stream then, and so does this page. */
function showHandoff(twiml) {
  const response = new DOMParser().parseFromString(twiml, 'text/xml').documentElement;
  const verbs = [...response.children].map((verb) => el('li', {}, ...verbWords(verb)));
  by('handoff').replaceChildren(
    el('h3', {}, 'A phone call would now get'),
    el('ol', { class: 'verbs' }, ...verbs),
    folded('TwiML', twiml),
  );
  if (status === 'failed') conclude('The agent has failed. Why stands below; look at its name, region and credentials.', 'bad');
  else conclude(status === 'hangup' ? 'A limit of the settings has ended the call.' : 'The agent has handed the call on.', 'good');
  call?.end('closed');
}

function verbWords(verb) {
  if (verb.tagName !== 'Redirect') return [el('strong', {}, verb.tagName), ' ', verb.textContent];
  const url = new URL(verb.textContent);
  const fields = [...url.searchParams].flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, pretty(value))]);
  return [el('strong', {}, 'Redirect'), ' ', el('code', {}, url.origin + url.pathname), el('dl', {}, ...fields)];
}

function pretty(value) {
  try {
    return el('pre', {}, JSON.stringify(JSON.parse(value), null, 2));
  } catch {
    return value;
  }
}
