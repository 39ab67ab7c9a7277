// Agents side by side: the table of a service with two of them.

import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';

import { isAccessible, skip } from '../support/accessible.js';
import { pause } from '../support/browser.js';
import { screenshots } from '../support/screenshots.js';
import { setUp, written } from '../support/set_up.js';

const AGENTS = `
[agents.sales]
dialogflow_agent = "lab:"
share = { new-sales = 20 }

[agents.new-sales]
dialogflow_agent = "lab:"
`;

describe('agents side by side', () => {
  const page = setUp({ settings: (folder) => ({ DIALBRIDGE_CONFIG: written(folder, 'agents.toml', AGENTS) }) });
  let tab;
  before(async () => {
    tab = await page.browser.tab();
    await tab.open(`${page.service.origin}/`);
    await tab.shows('#live', '0 live calls');
  });

  async function call(agent) {
    await tab.get(`document.getElementById('agent').value = '${agent}'`);
    await tab.click('#call');
    await tab.shows('#conversation', 'Corner Bakery, good morning');
    await tab.click('#hang-up');
    await tab.until(`document.querySelector('#finished-list').innerText.includes('${agent}')`, 'the finished call');
  }

  it('are not there while only one has had calls', async () => {
    await call('sales');
    await tab.open(`${page.service.origin}/`);
    const isCompared = 'performance.getEntriesByType("resource").some(({ name, responseEnd }) => name.endsWith("/agents/compared.json") && responseEnd > 0)';
    await tab.until(isCompared, 'the figures have come');
    // The page shows them at once.
    await pause(100);
    assert.equal(await tab.get('document.getElementById("comparison").hidden'), true);
  });

  it('have a column each once both have had calls', async () => {
    await call('new-sales');
    await tab.until('!document.getElementById("comparison").hidden', 'the table', 20_000);
    const rows = await tab.get('[...document.querySelectorAll("#comparison-table tr")].map(({ children }) => [...children].map(({ innerText }) => innerText))');
    assert.deepEqual([...rows[0]].sort(), ['', '', 'new-sales', 'sales']);
    assert.deepEqual(rows[1], ['calls', '1', '1', '']);
    const completed = rows.find(([title]) => title === 'completed, of 100 calls');
    assert.match(completed[1], /^0 \(0 to [\d.]+\), 0$/);
    assert.equal(completed[3], 'too few calls to tell');
    // The caller has said nothing: there is no turn to divide by.
    assert.deepEqual(rows.find(([title]) => title === 'no-match'), ['no-match', '–', '–', '']);
    assert.deepEqual(tab.complaints, []);
    await screenshots(tab, 'comparison');
  });

  it('can be read by everybody', { skip }, () => isAccessible(tab, 'agents side by side'));
});
