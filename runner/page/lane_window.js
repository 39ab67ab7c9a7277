// The part of a call's lanes that is seen: how wide a second is, and whether the view moves with the call.

import { el } from './dom.js';

/** How wide a second is, in pixels: without zoom, and at most. */
const SECOND_PX = 36;
const MAX_SECOND_PX = 300;

const ZOOM_STEP = 1.6;

/** Where "now" stands in a view that follows a live call, as a part of its width. The words that begin there have the rest. */
const NOW_AT = 0.7;

/** The room for the time at "now", in pixels, where the whole of a live call is seen. */
const NOW_PX = 44;

/** A scroll by less than this, in pixels, is the rounding of our own. */
const ROUNDING_PX = 2;

export class LaneWindow {
  /** `still`: the call is over. `following`: the view moves with a live call. `free`: somebody looks at another part of it. */
  #mode = 'still';
  /** How wide a second is, in pixels; or `fit`: the whole call is seen; or `fill`: the usual width, or `fit` if that is wider. */
  #scale = 'fill';
  #ms = 1;
  #px = 0;
  /** Empty room after the end of the call, in pixels. */
  #room = 0;
  #placedAt = 0;
  /** Where a finger has touched the lanes. */
  #touched;
  #on;

  /** `on` has `scaled({ ms, px })`, called when a second has another width or the call is longer, and `moved(mode)`. */
  constructor(track, on) {
    this.track = track;
    this.#on = on;
    this.element = el('div', { class: 'lanes-scroll', tabindex: '0', role: 'group', 'aria-label': 'Lanes, scroll sideways' }, track);
    this.element.addEventListener('scroll', () => this.#onScroll());
    this.element.addEventListener('wheel', (event) => this.#onWheel(event), { passive: true });
    this.element.addEventListener('touchstart', ({ touches }) => (this.#touched = touches[0]), { passive: true });
    this.element.addEventListener('touchmove', ({ touches }) => this.#onSwipe(touches[0]), { passive: true });
    new ResizeObserver(() => this.#layout()).observe(this.element);
  }

  /** The pixels of a second. */
  get px() {
    return this.#px;
  }

  /** A live call begins to be shown: the view follows it. */
  begin() {
    this.#scale = SECOND_PX;
    this.follow();
  }

  /** The call is so long now. */
  reach(ms) {
    this.#ms = Math.max(1, ms);
    this.#layout();
  }

  /** The call is over. The view stays where it is. */
  stop() {
    this.#change('still');
  }

  /** Goes to the end of a live call, and moves with it from there. */
  follow() {
    if (this.#scale === 'fit') this.#scale = SECOND_PX;
    this.#change('following');
    this.#layout();
  }

  zoomIn() {
    this.#zoom(this.#px * ZOOM_STEP);
  }

  zoomOut() {
    this.#zoom(this.#px / ZOOM_STEP);
  }

  fit() {
    this.#free();
    this.#room = 0;
    this.#zoom('fit');
  }

  /** Goes so far on, or back. */
  move(ms) {
    this.element.scrollLeft += (ms / 1000) * this.#px;
    this.#onScroll();
  }

  /** Goes to that place if it is not seen. */
  show(ms) {
    const x = (ms / 1000) * this.#px;
    const { scrollLeft, clientWidth } = this.element;
    if (x < scrollLeft || x > scrollLeft + clientWidth) this.#scrollTo(x - 40);
  }

  /** Where it was scrolled to, to be given to `restore` when the element was moved to another place of the page. */
  get place() {
    return this.element.scrollLeft;
  }

  restore(place) {
    this.#layout();
    this.#scrollTo(place);
  }

  #zoom(scale) {
    this.#free();
    const middle = (this.element.scrollLeft + this.element.clientWidth / 2) / (this.#px || 1);
    this.#scale = scale;
    this.#layout();
    this.#scrollTo(middle * this.#px - this.element.clientWidth / 2);
  }

  #layout() {
    const width = this.element.clientWidth;
    if (width === 0) return;
    const seconds = this.#ms / 1000;
    const fit = (width - (this.#mode === 'still' ? 0 : NOW_PX)) / seconds;
    const px = Math.min(MAX_SECOND_PX, this.#wanted(fit));
    if (this.#mode === 'following') this.#room = width * (1 - NOW_AT);
    if (px !== this.#px) this.track.style.setProperty('--second', `${px}px`);
    this.#px = px;
    this.track.style.width = `max(100%, ${seconds * px + this.#room}px)`;
    this.#on.scaled({ ms: Math.max(this.#ms, (1000 * width) / px), px });
    if (this.#mode === 'following') this.#scrollTo(seconds * px - width * NOW_AT);
  }

  /** The pixels of a second, if the whole call is seen with `fit` of them. */
  #wanted(fit) {
    if (this.#scale === 'fit') return fit;
    return this.#scale === 'fill' ? Math.max(fit, SECOND_PX) : Math.max(this.#scale, Math.min(fit, SECOND_PX));
  }

  #scrollTo(x) {
    this.element.scrollLeft = x;
    this.#placedAt = this.element.scrollLeft;
  }

  /** Somebody has scrolled: to the end, where the view follows again, or to another part. */
  #onScroll() {
    const { scrollLeft, clientWidth, scrollWidth } = this.element;
    if (Math.abs(scrollLeft - this.#placedAt) < ROUNDING_PX) return;
    this.#placedAt = scrollLeft;
    if (this.#mode === 'still') return;
    this.#change(scrollLeft + clientWidth >= scrollWidth - ROUNDING_PX ? 'following' : 'free');
  }

  #onWheel({ deltaX, deltaY, shiftKey }) {
    if (shiftKey || isSideways(deltaX, deltaY)) this.#free();
  }

  /** A swipe up or down moves the page, not the lanes. */
  #onSwipe({ clientX, clientY }) {
    if (isSideways(clientX - this.#touched.clientX, clientY - this.#touched.clientY)) this.#free();
  }

  #free() {
    if (this.#mode === 'following') this.#change('free');
  }

  #change(mode) {
    this.#mode = mode;
    this.#on.moved(mode);
  }
}

const isSideways = (dx, dy) => Math.abs(dx) > Math.abs(dy);
