// What axe-core finds wrong for people who do not see, or do not use a mouse: nothing.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { Browser } from '../support/browser.js';
import { record } from '../support/recording.js';
import { screenshots } from '../support/screenshots.js';
import { Service } from '../support/service.js';

const AXE = new URL('../node_modules/axe-core/axe.min.js', import.meta.url);

const skip = existsSync(AXE) ? false : 'axe-core is not installed: npm ci';

describe('accessibility', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'dialbridge-page-'));
  let service;
  let browser;
  let tab;
  before(async () => {
    const microphone = join(folder, 'microphone.wav');
    record(microphone, [5.5, 'order.wav', 20]);
    service = await Service.start({ RECORD_DIR: folder, SLOW_STAGES_MS: 'agent=100' });
    browser = await Browser.start({ microphone });
    await browser.microphone(service.origin, 'granted');
    tab = await browser.tab();
    await tab.open(`${service.origin}/`);
    await tab.shows('#agents', 'Answers the starting text within');
    await tab.shows('#live', '0 live calls');
  });
  after(async () => {
    await browser?.stop();
    await service?.stop();
    rmSync(folder, { recursive: true });
  });

  /** Fails with what axe finds, in both colours and at both widths. */
  async function isAccessible(what) {
    await tab.get(`${readFileSync(AXE, 'utf8')}; true`);
    for (const [colours, width] of [['light', 1280], ['dark', 1280], ['light', 390], ['dark', 390]]) {
      await tab.colours(colours);
      await tab.size({ width, height: 900 });
      const found = await tab.get(`axe.run().then(({ violations }) => violations.map(({ id, nodes }) =>
        id + ': ' + nodes.map(({ target, any }) => target.join(' ') + ' ' + any.map(({ message }) => message)).join('; ')))`);
      assert.deepEqual(found, [], `${what}, ${colours}, ${width} px`);
      const sideways = await tab.get('document.documentElement.scrollWidth - innerWidth');
      assert.ok(sideways <= 0, `${what}, ${width} px: the page scrolls sideways by ${sideways} px`);
    }
    await tab.colours('light');
    await tab.size({ width: 1280, height: 900 });
  }

  it('holds when nothing happens', () => isAccessible('idle'));

  it('holds during a call, with the call open', async () => {
    await tab.click('#call');
    await tab.shows('#conversation', 'order.bread', 30_000);
    await tab.click('#live-list summary');
    await tab.shows('#live-list .timeline', 'order.bread');
    await isAccessible('live');
    await screenshots(tab, 'live-open');
  });

  it('holds for a finished call as two lanes', async () => {
    await tab.click('#hang-up');
    await tab.until(`document.querySelector('#finished-list details[open] .lanes')`, 'the lanes');
    await isAccessible('finished');
  });
});
