// A call as two lanes, caller and agent: who spoke when, the words, keys and cuts, and the stages of each turn. A live call
// is drawn by the same rows as a finished one, with a line at "now".

import { contentOf } from './lane_content.js';
import { lane, legend, place, ruler, stageRow, words } from './lane_rows.js';
import { LaneWindow } from './lane_window.js';
import { el, length } from './dom.js';
import { Player } from './recording.js';

/** How far an arrow key goes, in milliseconds. */
const STEP_MS = 2000;

export class Lanes {
  #rows = { ruler: ruler(), caller: lane('Caller'), said: words(), stages: stageRow(), agent: lane('Agent'), answered: words() };
  #head = el('div', { class: 'playhead', hidden: true });
  #nowText = el('span', {});
  #now = el('div', { class: 'now', hidden: true }, this.#nowText);
  #track = el('div', { class: 'track', role: 'img', 'aria-label': 'The call as two lanes. The list below has all of it in words.' });
  #tools = el('div', { class: 'lane-tools' });
  #follow = el('button', { type: 'button', class: 'small', 'aria-pressed': 'true' }, 'Follow');
  #time = el('span', { class: 'quiet time' });
  #window;
  #player;

  constructor() {
    const { ruler, caller, said, stages, agent, answered } = this.#rows;
    this.#track.append(...[ruler, caller, said, stages, agent, answered].map(({ element }) => element), this.#now, this.#head);
    this.#window = new LaneWindow(this.#track, {
      scaled: (scale) => ruler.show(scale),
      moved: (mode) => this.#follow.setAttribute('aria-pressed', mode === 'following'),
    });
    this.#follow.addEventListener('click', () => this.#window.follow());
    this.#window.element.addEventListener('keydown', (event) => this.#onKey(event));
    this.#track.addEventListener('click', ({ clientX }) => {
      const { left } = this.#track.getBoundingClientRect();
      this.#player?.seek((1000 * (clientX - left)) / this.#window.px);
    });
    this.element = el('div', { class: 'lanes' }, this.#tools, this.#window.element, legend());
  }

  /** Shows a live call from now on. */
  begin() {
    this.#showTools([el('span', { class: 'live-mark' }, 'Live'), this.#time, this.#follow]);
    this.#now.hidden = false;
    this.#window.begin();
  }

  /** Draws the lines of a call. `spoke` is the turn in which the caller of a live one was heard last, and since when. */
  draw(lines, spoke) {
    const { turns, caller, agent, stages } = contentOf(lines, spoke);
    this.#rows.caller.show(caller);
    this.#rows.agent.show(agent);
    this.#rows.said.show(caller.words);
    this.#rows.answered.show(agent.words);
    this.#rows.stages.show(stages);
    return turns;
  }

  /** Draws how loud both sides were: `caller` and `agent`, each `{ of, peaks, stepMs }`. Nothing if that is not known. */
  drawSound(sound) {
    this.#rows.caller.showSound(sound?.caller);
    this.#rows.agent.showSound(sound?.agent);
  }

  /** It is this call time now. */
  tick(ms) {
    this.#reach(ms);
    place(this.#now, ms);
    const text = length(Math.floor(ms / 1000) * 1000);
    if (this.#nowText.textContent !== text) {
      this.#nowText.textContent = text;
      this.#time.textContent = text;
    }
  }

  /** Shows that the call is over, and is so long. `why` says why it cannot be played if there is no `recording`. */
  finish(ms, { recording, why }) {
    this.#window.stop();
    this.#now.hidden = true;
    this.#reach(Math.max(ms, recording?.ms ?? 0));
    if (recording) this.#showPlayer(recording);
    else this.#showTools([el('span', { class: 'quiet' }, why)]);
  }

  /** Stops the recording if it plays. */
  stop() {
    this.#player?.stop();
  }

  /** What moves sideways, without the tools above it. */
  get drawing() {
    return this.#window.element;
  }

  /** Where the view is, for `restore` after the element was moved to another place of the page. */
  get place() {
    return this.#window.place;
  }

  restore(place) {
    this.#window.restore(place);
  }

  /** The call is so long: what goes on goes on to there. */
  #reach(ms) {
    for (const element of this.#track.querySelectorAll('.growing')) {
      element.style.setProperty('--for', Math.max(0, ms - Number(element.dataset.from)) / 1000);
    }
    this.#window.reach(ms);
  }

  #showTools(tools) {
    const button = (text, label, act) => {
      const made = el('button', { type: 'button', class: 'small', 'aria-label': label }, text);
      made.addEventListener('click', act);
      return made;
    };
    const zoom = [
      button('−', 'Zoom out', () => this.#window.zoomOut()),
      button('+', 'Zoom in', () => this.#window.zoomIn()),
      button('Fit', 'Show the whole call', () => this.#window.fit()),
    ];
    this.#tools.replaceChildren(...tools, el('span', { class: 'zoom' }, ...zoom));
  }

  /** The player's button and its position, and what moves with it. */
  #showPlayer(recording) {
    const button = el('button', { type: 'button', class: 'small primary play' }, '▶ Play');
    const range = el('input', { type: 'range', min: '0', max: String(Math.round(recording.ms)), value: '0', step: '100', 'aria-label': 'Position' });
    const time = el('span', { class: 'quiet time' }, `0:00 / ${length(recording.ms)}`);
    const moved = (at) => {
      range.value = String(at);
      range.setAttribute('aria-valuetext', `${length(at)} of ${length(recording.ms)}`);
      time.textContent = `${length(at)} / ${length(recording.ms)}`;
      this.#head.hidden = false;
      place(this.#head, at);
      this.#window.show(at);
    };
    const changed = () => {
      button.textContent = this.#player.isPlaying ? '❚❚ Pause' : '▶ Play';
    };
    this.#player = new Player(recording, { moved, changed });
    button.addEventListener('click', () => this.#player.toggle());
    range.addEventListener('input', () => this.#player.seek(Number(range.value)));
    this.#showTools([button, range, time]);
  }

  /** Space plays; arrows move in the recording, or what is seen where there is none; + and - zoom. */
  #onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const player = this.#player;
    const step = (ms) => (player ? player.seek(player.ms + ms) : this.#window.move(ms));
    const act = {
      ' ': player && (() => player.toggle()),
      ArrowLeft: () => step(-STEP_MS),
      ArrowRight: () => step(STEP_MS),
      '+': () => this.#window.zoomIn(),
      '-': () => this.#window.zoomOut(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}
