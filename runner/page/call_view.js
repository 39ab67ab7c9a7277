// One call, opened: its lanes and its lines. A live one goes on, a finished one has what can be downloaded of it.

import { ask, el, keepInPlace, urlOf } from './dom.js';
import { Lanes } from './lanes.js';
import { levelsOf } from './levels.js';
import { Recording } from './recording.js';
import { Timeline } from './timeline.js';

const GONE = 'This call is not kept any more, or another instance has it. Reload the page.';

/** The service has refused the events of a live call, and the browser does not ask again. */
const REFUSED = 'This call cannot be followed: it is over, another instance has it, or too many pages watch calls. Reload the page.';

/** How many lines of a live call are kept. The service keeps fewer. */
const MAX_LINES = 1000;

/** How often a waveform is drawn while it grows, in milliseconds. */
const SOUND_EVERY_MS = 100;

const wantsStillness = matchMedia('(prefers-reduced-motion: reduce)');

export class CallView {
  #body;
  #call;
  #lanes = new Lanes();
  #timeline = new Timeline();
  #about = el('div', {});
  #exports = el('div', {});
  #lines = [];
  /** The turn in which the caller was heard last, and since when. */
  #spoke;
  #source;
  #clock = new CallClock();
  #frame;
  #isStale = true;
  #soundAt = 0;

  constructor(body) {
    this.#body = body;
  }

  /** Shows a live call as it goes on, until `close`. */
  follow(call) {
    this.renew(call);
    this.#show();
    this.#lanes.begin();
    this.#listen();
    this.#onFrame();
  }

  /** Ends what `follow` has begun, and stops the recording if it plays. */
  close() {
    this.#source?.close();
    cancelAnimationFrame(this.#frame);
    this.#lanes.stop();
  }

  /** Shows what has changed of the call: a backup may speak another language. */
  renew(call) {
    if (call.language !== this.#call?.language) this.#about.replaceChildren(...about(call));
    this.#call = call;
  }

  /** Shows a finished call. If it was followed, its lanes stay as they are, and get what is known only now. */
  async finish(call) {
    this.close();
    this.renew(call);
    const wasShown = this.#lanes.element.isConnected;
    if (!wasShown) this.#body.replaceChildren(el('p', {}, 'One moment…'));
    try {
      const { lines } = await ask(`/calls/${call.id}.json`);
      const { recording, why } = await recordingOf(call);
      this.#lines = lines;
      if (!wasShown) this.#show();
      const putBack = keepInPlace(this.#lanes.drawing);
      this.#exports.replaceChildren(exports(call) ?? '');
      this.#draw();
      this.#lanes.drawSound(recording?.sound ?? levelsOf(call.callSid));
      this.#lanes.finish(Math.max(call.tookMs ?? 0, ...lines.map(({ atMs }) => atMs)), { recording, why });
      if (wasShown) putBack();
    } catch (error) {
      const why = error.message.startsWith('there is nothing') ? GONE : error.message;
      if (wasShown) this.#standStill(why);
      else this.#body.replaceChildren(el('p', { class: 'notice' }, why));
    }
  }

  /** Gets ready to leave its body. What it returns moves all to another body, which then stands in the same place of the window. */
  leave() {
    const focused = this.#body.contains(document.activeElement) ? document.activeElement : undefined;
    const [place, putBack] = [this.#lanes.place, keepInPlace(this.#lanes.drawing)];
    return (body) => {
      body.replaceChildren(...this.#body.childNodes);
      this.#body = body;
      this.#lanes.restore(place);
      putBack();
      focused?.focus({ preventScroll: true });
    };
  }

  #show() {
    this.#body.replaceChildren(this.#about, this.#lanes.element, this.#exports, this.#timeline.element);
  }

  #draw() {
    this.#lanes.draw(this.#lines, this.#spoke);
    this.#timeline.show(this.#lines);
    this.#isStale = false;
  }

  #listen() {
    const source = new EventSource(urlOf(`/softphone/events/${this.#call.callSid}`));
    this.#source = source;
    source.addEventListener('clock', ({ data }) => this.#clock.set(JSON.parse(data).atMs));
    source.addEventListener('line', ({ data }) => this.#add(JSON.parse(data)));
    source.addEventListener('over', ({ data }) => {
      source.close();
      this.#clock.stop(JSON.parse(data).tookMs);
    });
    source.onerror = () => {
      // Otherwise the browser connects again, and is told all lines anew.
      if (source.readyState === EventSource.CLOSED) this.#standStill(REFUSED);
    };
  }

  /** The lanes of a call that was followed go no further. The sentence below them says why. */
  #standStill(why) {
    this.close();
    this.#lanes.finish(Math.max(this.#clock.now, this.#lines.at(-1)?.atMs ?? 0), { why: 'The lanes stand still.' });
    this.#exports.replaceChildren(el('p', { class: 'notice' }, why));
  }

  #add(line) {
    if (line.number <= (this.#lines.at(-1)?.number ?? 0)) return;
    if (line.what === 'transcript' && this.#spoke?.turn !== line.turn) this.#spoke = { turn: line.turn, atMs: line.atMs };
    // What is passing is replaced by whatever follows.
    if (isPassing(this.#lines.at(-1))) this.#lines.pop();
    this.#lines.push(line);
    if (this.#lines.length > MAX_LINES) this.#lines.shift();
    this.#isStale = true;
  }

  #onFrame() {
    this.#frame = requestAnimationFrame(() => this.#onFrame());
    const now = Math.max(this.#clock.now, this.#lines.at(-1)?.atMs ?? 0);
    if (this.#isStale) this.#draw();
    this.#lanes.tick(wantsStillness.matches ? Math.ceil(now / 1000) * 1000 : now);
    if (performance.now() - this.#soundAt < SOUND_EVERY_MS) return;
    this.#soundAt = performance.now();
    this.#lanes.drawSound(levelsOf(this.#call.callSid));
  }
}

const isPassing = (line) => line?.what === 'transcript' && !line.isFinal;

/** The time of a live call, as the service tells it now and then. */
class CallClock {
  /** When the call began, by this page's clock. What the service tells is on its way for a while, so the earliest is right. */
  #beganAt = Infinity;
  #stoppedAt;

  set(atMs) {
    this.#beganAt = Math.min(this.#beganAt, performance.now() - atMs);
  }

  stop(atMs) {
    this.#stoppedAt = atMs;
  }

  /** Milliseconds since the call began. */
  get now() {
    return this.#stoppedAt ?? Math.max(0, performance.now() - this.#beganAt);
  }
}

/** Which call this is, and whether its words are shown. */
function about({ callSid, language, words }) {
  const link = el('a', { href: `#call-${callSid}` }, 'Link to this call');
  const hidden = words ? '' : ' Its words are not shown (PAGE_TRANSCRIPTS).';
  return [el('p', { class: 'quiet' }, `${callSid}, ${language}.${hidden} `, link)];
}

/** The call's recording, or why there is none. */
async function recordingOf(call) {
  if (!call.tape) return { why: 'Nothing to play: the call was not recorded (RECORD_DIR).' };
  if (!call.words) return { why: 'Nothing to play: the page may not give what was said in phone calls (PAGE_TRANSCRIPTS).' };
  try {
    return { recording: await Recording.of(call.id) };
  } catch (error) {
    return { why: `Nothing to play. ${error.message}` };
  }
}

/** What can be downloaded. Undefined if the call was not recorded. */
function exports(call) {
  if (!call.tape) return undefined;
  const command = `dialbridge test new ${call.tape}`;
  if (!call.words) {
    return el('p', { class: 'exports quiet' }, 'Make this a test, where RECORD_DIR is: ', el('code', {}, command));
  }
  const link = (file, text, kind) => el('a', { class: `button small${kind}`, href: urlOf(`/calls/${call.id}/${file}`), download: true }, text);
  const name = call.callSid;
  return el(
    'div',
    { class: 'exports' },
    link('test.zip', 'Make this a test', ' primary'),
    link('tape.jsonl', 'Tape', ''),
    link('call.wav', 'WAV', ''),
    el(
      'details',
      { class: 'folded' },
      el('summary', {}, 'How to run it'),
      el('p', {}, 'The test is a conversation file with the caller’s recordings. Unpack it, put in what it asks for, and run it once against your agent; from then on it runs without:'),
      el('pre', {}, `unzip ${name}.zip\ndialbridge test --record ${name}\ndialbridge test ${name}`),
      el('p', {}, 'With the tape alone: ', el('code', {}, `dialbridge test new ${name}.jsonl`)),
    ),
  );
}
