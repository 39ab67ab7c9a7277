// What axe-core finds wrong for people who do not see, or do not use a mouse: nothing.

import { before, describe, it } from 'node:test';

import { isAccessible, skip } from '../support/accessible.js';
import { screenshots } from '../support/screenshots.js';
import { setUp } from '../support/set_up.js';

describe('accessibility', { skip }, () => {
  const page = setUp({
    microphone: [5.5, 'order.wav', 20],
    settings: (folder) => ({ RECORD_DIR: folder, SLOW_STAGES_MS: 'agent=100' }),
  });
  let tab;
  before(async () => {
    tab = await page.browser.tab();
    await tab.open(`${page.service.origin}/`);
    await tab.shows('#agents', 'Answers the starting text within');
    await tab.shows('#live', '0 live calls');
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
