// A headless Chromium, driven by the DevTools protocol over a pipe: no library, no socket.
// https://chromedevtools.github.io/devtools-protocol/

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CHROMIUM = process.env.CHROMIUM ?? 'chromium';

const COMMAND_MS = 20_000;
const END_MS = 10_000;

/** How often something that is waited for is looked at. */
const LOOK_MS = 50;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Browser {
  #process;
  #folder = mkdtempSync(join(tmpdir(), 'dialbridge-page-'));
  #waiting = new Map();
  #listeners = new Map();
  #unread = [];
  #id = 0;

  /** Starts a browser whose microphone hears that WAV file once, from when it is opened; without one it hears beeps. */
  static async start({ microphone, flags = [] } = {}) {
    const browser = new Browser();
    const file = microphone ? [`--use-file-for-fake-audio-capture=${microphone}%noloop`] : [];
    const all = [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--hide-scrollbars',
      '--remote-debugging-pipe',
      `--user-data-dir=${browser.#folder}`,
      '--use-fake-device-for-media-stream',
      ...file,
      ...flags,
    ];
    // What it writes of buses and displays that are not there is nobody's concern.
    browser.#process = spawn(CHROMIUM, all, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    browser.#process.on('error', (error) => browser.#over(error));
    browser.#process.on('exit', (code, signal) => browser.#over(new Error(`${CHROMIUM} has ended: ${code ?? signal}`)));
    browser.#process.stdio[3].on('error', () => {});
    browser.#process.stdio[4].on('data', (piece) => browser.#read(piece));
    await browser.send('Browser.getVersion');
    return browser;
  }

  #read(piece) {
    let from = 0;
    for (let end; (end = piece.indexOf(0, from)) !== -1; from = end + 1) {
      this.#on(JSON.parse(Buffer.concat([...this.#unread.splice(0), piece.subarray(from, end)])));
    }
    this.#unread.push(piece.subarray(from));
  }

  #on({ id, result, error, method, params, sessionId }) {
    if (id === undefined) {
      this.#listeners.get(`${sessionId} ${method}`)?.(params);
      return;
    }
    const { resolve, reject, timer } = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(timer);
    if (error) reject(new Error(error.message));
    else resolve(result);
  }

  /** Sends a command. */
  send(method, params = {}, sessionId = undefined) {
    const id = (this.#id += 1);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${method}`)), COMMAND_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  /** Calls back at each event of that name. */
  listen(sessionId, method, listener) {
    this.#listeners.set(`${sessionId} ${method}`, listener);
  }

  /** Opens a tab of that size. */
  async tab({ width = 1280, height = 900, dark = false } = {}) {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const tab = new Tab(this, targetId, sessionId);
    await tab.begin({ width, height, dark });
    return tab;
  }

  /** Lets that origin's pages have the microphone without asking (`granted`), or not (`denied`). */
  async microphone(origin, setting) {
    await this.send('Browser.setPermission', { permission: { name: 'microphone' }, setting, origin });
  }

  async stop() {
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), END_MS);
    await this.send('Browser.close').catch(() => {});
    if (this.#process.exitCode === null && this.#process.signalCode === null) await once(this.#process, 'exit');
    clearTimeout(timer);
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #over(error) {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#waiting.clear();
  }
}

class Tab {
  /** What the page has complained about: errors, refusals of its policy. */
  complaints = [];
  /** The URLs that were asked for. */
  asked = [];

  constructor(browser, targetId, sessionId) {
    this.browser = browser;
    this.targetId = targetId;
    this.sessionId = sessionId;
  }

  async begin({ width, height, dark }) {
    this.on('Runtime.exceptionThrown', ({ exceptionDetails: { text, exception } }) => {
      this.complaints.push(`${text} ${exception?.description ?? ''}`);
    });
    this.on('Log.entryAdded', ({ entry: { level, text, url } }) => {
      if (level === 'error') this.complaints.push(`${text} ${url ?? ''}`);
    });
    this.on('Network.requestWillBeSent', ({ request: { url } }) => this.asked.push(url));
    this.on('Network.webSocketCreated', ({ url }) => this.asked.push(url));
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await this.send(`${domain}.enable`);
    await this.size({ width, height });
    await this.colours(dark ? 'dark' : 'light');
  }

  /** How large the window is. */
  async size({ width, height }) {
    await this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 });
  }

  /** Which colours the person prefers: `light` or `dark`. And whether there should be `reduce`d motion. */
  async colours(value, motion = 'no-preference') {
    const features = [{ name: 'prefers-color-scheme', value }, { name: 'prefers-reduced-motion', value: motion }];
    await this.send('Emulation.setEmulatedMedia', { features });
  }

  send(method, params) {
    return this.browser.send(method, params, this.sessionId);
  }

  on(method, listener) {
    this.browser.listen(this.sessionId, method, listener);
  }

  /** Runs that before any script of a page does. */
  async before(script) {
    await this.send('Page.addScriptToEvaluateOnNewDocument', { source: script });
  }

  async open(url) {
    const loaded = new Promise((resolve) => this.on('Page.loadEventFired', resolve));
    await this.send('Page.navigate', { url });
    await loaded;
  }

  /** What an expression is in the page. */
  async get(expression) {
    const parameters = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', parameters);
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  /** The text of what a selector finds first. */
  text(selector) {
    return this.get(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ''`);
  }

  /** Waits until an expression is true, and gives it. */
  async until(expression, what = expression, ms = 15_000) {
    const until = Date.now() + ms;
    for (;;) {
      const value = await this.get(expression);
      if (value) return value;
      if (Date.now() > until) {
        const page = await this.get('document.body.innerText');
        assert.fail(`not within ${ms / 1000} s: ${what}\n${page}\n${this.complaints.join('\n')}`);
      }
      await pause(LOOK_MS);
    }
  }

  /** Waits until what a selector finds first has that text in it. */
  shows(selector, text, ms) {
    const found = `(document.querySelector(${JSON.stringify(selector)})?.innerText ?? '').includes(${JSON.stringify(text)})`;
    return this.until(found, `“${text}” in ${selector}`, ms);
  }

  /** Clicks as a person does: at a place, which tells the browser that it was one. What has moved away is clicked again. */
  async click(selector) {
    for (let n = 0; n < 10; n += 1) {
      const { x, y } = await this.#middle(selector);
      await this.get(`globalThis.isHit = false; document.addEventListener('click', ({ target }) => {
        globalThis.isHit = target.closest(${JSON.stringify(selector)}) !== null;
      }, { capture: true, once: true })`);
      for (const type of ['mousePressed', 'mouseReleased']) {
        await this.send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
      }
      // A click that leaves the page leaves nothing to ask.
      if (await this.get('globalThis.isHit').catch(() => undefined) !== false) return;
      await pause(LOOK_MS);
    }
    assert.fail(`a click does not meet ${selector}`);
  }

  /** Swipes over an element with one finger, so many pixels to the right and down. */
  async swipe(selector, { x, y }) {
    const from = await this.#middle(selector);
    await this.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [from] });
    await this.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: [{ x: from.x + x, y: from.y + y }] });
    await this.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  }

  /** Brings an element into view, and gives the place of its middle. */
  #middle(selector) {
    const element = `document.querySelector(${JSON.stringify(selector)})`;
    return this.get(`(() => {
      ${element}.scrollIntoView({ block: 'center' });
      const { left, top, width, height } = ${element}.getBoundingClientRect();
      return { x: left + width / 2, y: top + height / 2 };
    })()`);
  }

  /** Presses a key of the keyboard: `Tab`, `Enter`, `5`, `#`. */
  async key(key) {
    const codes = { Tab: 9, Enter: 13, Space: 32 };
    const texts = { Enter: '\r', Space: ' ' };
    const text = texts[key] ?? (key.length === 1 ? key : undefined);
    const name = key === 'Space' ? ' ' : key;
    const parameters = { key: name, windowsVirtualKeyCode: codes[key] ?? key.charCodeAt(0) };
    await this.send('Input.dispatchKeyEvent', { type: text ? 'keyDown' : 'rawKeyDown', text, ...parameters });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...parameters });
  }

  /** Writes a text where the focus is. */
  async write(text) {
    await this.send('Input.insertText', { text });
  }

  async screenshot(file) {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
    writeFileSync(file, Buffer.from(data, 'base64'));
  }

  /** Closes the tab, as a person does in the middle of something. */
  async close() {
    await this.browser.send('Target.closeTarget', { targetId: this.targetId });
  }
}
