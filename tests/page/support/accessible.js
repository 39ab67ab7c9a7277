// What axe-core finds wrong in the page.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';

const AXE = new URL('../node_modules/axe-core/axe.min.js', import.meta.url);

/** Why these tests cannot run; false if they can. */
export const skip = existsSync(AXE) ? false : 'axe-core is not installed: npm ci';

/** Fails with what axe finds, in both colours and at both widths, and if the page scrolls sideways. */
export async function isAccessible(tab, what) {
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
