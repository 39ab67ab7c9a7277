// What axe-core finds wrong for people who do not see, or do not use a mouse: nothing.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { isAccessible, skip } from '../support/accessible.js';
import { Browser } from '../support/browser.js';
import { record } from '../support/recording.js';
import { screenshots } from '../support/screenshots.js';
import { Service } from '../support/service.js';

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

  it('holds when nothing happens', () => isAccessible(tab, 'idle'));

  it('holds during a call, with the call open', async () => {
    await tab.click('#call');
    await tab.shows('#conversation', 'order.bread', 30_000);
    await tab.click('#live-list summary');
    await tab.shows('#live-list .timeline', 'order.bread');
    await isAccessible(tab, 'live');
    await screenshots(tab, 'live-open');
  });

  it('holds for a finished call as two lanes', async () => {
    await tab.click('#hang-up');
    await tab.until(`document.querySelector('#finished-list details[open] .lanes')`, 'the lanes');
    await isAccessible(tab, 'finished');
  });
});
