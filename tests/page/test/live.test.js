// A live call as two lanes: they move with the call, and become those of the finished one.

import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';

import { pause } from '../support/browser.js';
import { screenshots } from '../support/screenshots.js';
import { setUp } from '../support/set_up.js';

const LIVE = '#live-list details[open]';
const OVER = '#finished-list details[open]';

describe('a live call', () => {
  const page = setUp({
    microphone: [5.5, 'order.wav', 5.6, 'nine.wav', 60],
    settings: (folder) => ({ RECORD_DIR: folder }),
  });
  let tab;
  before(async () => {
    tab = await page.browser.tab();
    await tab.open(`${page.service.origin}/`);
    await tab.shows('#live', '0 live calls');
    await tab.click('#call');
    await tab.until('document.querySelector("#live-list summary")', 'the live call');
    await tab.click('#live-list summary');
  });

  const count = (selector, where = tab) => where.get(`document.querySelectorAll(${JSON.stringify(`${LIVE} ${selector}`)}).length`);
  const now = () => tab.get(`Number(document.querySelector('${LIVE} .now').style.getPropertyValue('--at'))`);
  const scrolled = () => tab.get(`document.querySelector('${LIVE} .lanes-scroll').scrollLeft`);

  /** Where the lanes are scrolled to when they have come to rest: on a busy machine a swipe goes on for a moment. */
  const rest = async () => {
    for (let n = 0; n < 20; n += 1) {
      const at = await scrolled();
      await pause(100);
      if ((await scrolled()) === at) return at;
    }
    throw new Error('the lanes move on');
  };
  const follows = () => tab.get(`document.querySelector('${LIVE} [aria-pressed]').getAttribute('aria-pressed')`);
  const isNowSeen = () => tab.get(`(() => {
    const [now, box] = ['.now', '.lanes-scroll'].map((part) => document.querySelector('${LIVE} ' + part).getBoundingClientRect());
    return now.left >= box.left && now.right <= box.right;
  })()`);

  it('has the words, both sides, and what goes on now', async () => {
    await tab.until(`document.querySelector('${LIVE} .lane.agent .growing')`, 'the greeting goes on');
    await tab.shows(`${LIVE} .track`, 'Corner Bakery, good morning');
    await tab.until(`document.querySelector('${LIVE} .lane.caller .growing')`, 'the caller speaks', 20_000);
    await tab.until(`document.querySelectorAll('${LIVE} .lane.caller .span:not(.growing)').length === 1`, 'he has stopped');
    await tab.until(`document.querySelector('${LIVE} .stage.agent')`, 'the wait');
    const before = await now();
    await pause(400);
    assert.ok((await now()) > before + 0.2, 'now moves');
    assert.ok((await count('.lane.caller path')) > 0 && (await count('.lane.agent path')) > 0, 'this page has the sound of both');
    await tab.until(`document.querySelector('${LIVE} .mark.cut')`, 'the barge-in', 20_000);
    await tab.key('5');
    await tab.until(`document.querySelector('${LIVE} .mark.key')`, 'the key');
    await screenshots(tab, 'live-lanes');
  });

  it('has no sound on another page, and all else', async () => {
    const other = await page.browser.tab();
    await other.open(`${page.service.origin}/`);
    await other.until('document.querySelector("#live-list summary")', 'the live call');
    await other.click('#live-list summary');
    await other.until(`document.querySelectorAll('${LIVE} .lane .span').length >= 4`, 'both speak');
    assert.equal(await count('path', other), 0);
    const last = (await page.service.json('/calls.json')).live[0];
    const age = (Date.now() - last.beganMs) / 1000;
    const shown = await other.get(`Number(document.querySelector('${LIVE} .now').style.getPropertyValue('--at'))`);
    assert.ok(Math.abs(shown - age) < 1, `${shown} and ${age}`);
    await screenshots(other, 'live-blocks');
    assert.deepEqual(other.complaints, []);
    await other.close();
    // A tab behind another one draws nothing.
    await tab.send('Page.bringToFront');
    await tab.until('!document.hidden', 'the first page is seen again');
  });

  it('follows the call, unless somebody scrolls or zooms', async () => {
    await tab.size({ width: 390, height: 844 });
    await tab.until(`(${(await now()) + 0.3}) < Number(document.querySelector('${LIVE} .now').style.getPropertyValue('--at'))`);
    assert.ok((await scrolled()) > 0 && (await isNowSeen()));
    assert.equal(await follows(), 'true');
    await tab.swipe(`${LIVE} .lanes-scroll`, { x: 8, y: 40 });
    assert.equal(await follows(), 'true', 'a swipe up or down is the page’s');
    await tab.swipe(`${LIVE} .lanes-scroll`, { x: 40, y: 8 });
    assert.equal(await follows(), 'false', 'a swipe sideways');
    await tab.click(`${LIVE} [aria-pressed]`);
    await tab.get(`document.querySelector('${LIVE} .lanes-scroll').focus()`);
    await tab.key('ArrowLeft');
    await tab.key('ArrowLeft');
    assert.equal(await follows(), 'false');
    const left = await rest();
    await pause(500);
    assert.equal(await scrolled(), left, 'it stays where somebody looks');
    await tab.click(`${LIVE} [aria-pressed]`);
    await pause(200);
    assert.ok((await follows()) === 'true' && (await isNowSeen()));
    await tab.get(`document.querySelector('${LIVE} .lanes-scroll').focus()`);
    await tab.key('+');
    assert.equal(await follows(), 'false', 'zoomed');
    await tab.click(`${LIVE} [aria-label="Show the whole call"]`);
    await pause(100);
    assert.ok(await isNowSeen());
    await tab.click(`${LIVE} [aria-pressed]`);
    await tab.size({ width: 1280, height: 900 });
  });

  it('moves once a second for those who want less motion', async () => {
    await tab.colours('light', 'reduce');
    const seen = new Set();
    for (let n = 0; n < 12; n += 1) {
      seen.add(await now());
      await pause(100);
    }
    await tab.colours('light');
    assert.ok([...seen].slice(1).every(Number.isInteger) && seen.size <= 4, [...seen].join(' '));
  });

  it('keeps what somebody has unfolded', async () => {
    await tab.click(`${LIVE} .timeline .folded summary`);
    await tab.key('7');
    await tab.until(`document.querySelectorAll('${LIVE} .mark.key').length === 2`, 'the second key');
    assert.equal(await tab.get(`document.querySelector('${LIVE} .timeline .folded').open`), true);
  });

  it('becomes the finished call in the same place', async () => {
    await tab.size({ width: 390, height: 844 });
    await pause(300);
    await tab.get(`globalThis.kept = document.querySelector('${LIVE} .lanes'); document.querySelector('${LIVE} .lanes-scroll').focus()`);
    await tab.get('kept.scrollIntoView({ block: "center" })');
    const place = () => tab.get(`[kept.querySelector('.lanes-scroll').getBoundingClientRect().top, kept.querySelector('.lanes-scroll').scrollLeft]`);
    await tab.get('document.getElementById("hang-up").click()');
    const before = await place();
    await tab.until(`document.querySelector('${OVER} .play')`, 'the finished call');
    assert.equal(await tab.get(`document.querySelector('${OVER} .lanes') === kept`), true);
    const after = await place();
    assert.ok(Math.abs(after[0] - before[0]) < 2 && Math.abs(after[1] - before[1]) < 60, `${before} and ${after}`);
    assert.equal(await tab.get(`document.activeElement === kept.querySelector('.lanes-scroll')`), true, 'the focus stays');
    assert.equal(await tab.get(`document.querySelectorAll('${OVER} .growing').length`), 0);
    await tab.size({ width: 1280, height: 900 });
    await screenshots(tab, 'live-over');
    assert.deepEqual(tab.complaints, []);
  });
});
