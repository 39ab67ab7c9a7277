// Keys, by mouse and keyboard; and the whole page by keyboard, for those who have no mouse or see no screen.

import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';

import { setUp, written } from '../support/set_up.js';

const SCRIPT = `
[start]
say = "Type your number."
tone = { hz = 400, ms = 400 }
[digits.4711]
say = "That is right."
intent = "right"
tone = { hz = 500, ms = 300 }
[digits.0]
say = "Good bye."
intent = "bye"
tone = { hz = 500, ms = 300 }
end = true
[other_digits]
say = "That is wrong."
intent = "wrong"
tone = { hz = 500, ms = 300 }
`;

describe('without a mouse', () => {
  const page = setUp({ settings: (folder) => ({ DIALOGFLOW_AGENT: `lab:${written(folder, 'keys.toml', SCRIPT)}` }) });
  let tab;
  before(async () => {
    tab = await page.browser.tab();
    await tab.open(`${page.service.origin}/`);
    await tab.shows('#agents', 'Answers');
  });

  const focused = () => tab.get('document.activeElement.id');

  it('a call is made, keys are pressed, and it is hung up', async () => {
    for (let n = 0; n < 20 && (await focused()) !== 'call'; n += 1) await tab.key('Tab');
    assert.equal(await focused(), 'call', 'the Tab key comes to it');
    await tab.key('Enter');
    await tab.shows('#conversation', 'Type your number.');
    assert.equal(await focused(), 'hang-up', 'the next thing to do');
    for (const key of '4711#') await tab.key(key);
    await tab.shows('#conversation', 'That is right.');
    await tab.shows('#conversation', '4 keys go to the agent.');
    assert.equal(await focused(), 'hang-up');
    await tab.key('Enter');
    await tab.shows('#status', 'You have hung up.');
    assert.equal(await focused(), 'call');
  });

  it('keys that are written into a field are no keys of the call, and by mouse they are', async () => {
    await tab.key('Enter');
    await tab.shows('#conversation', 'Type your number.');
    await tab.get('document.querySelector("#dial details").open = true');
    assert.equal(await tab.get('document.getElementById("params").matches(":disabled")'), true, 'not in a call');
    await tab.click('[data-key="7"]');
    await tab.click('[data-key="#"]');
    await tab.shows('#conversation', 'That is wrong.');
    await tab.click('#mute');
    assert.equal(await tab.get('document.getElementById("mute").getAttribute("aria-pressed")'), 'true');
    await tab.click('[data-key="0"]');
    await tab.click('[data-key="#"]');
    await tab.shows('#handoff', 'Hangup');
    await tab.shows('#status', 'The agent has handed the call on.');
  });

  it('no key stands in the page, in its calls or in the log', async () => {
    await tab.shows('#live', '0 live calls');
    await tab.click('#finished-list li:last-child summary');
    await tab.shows('#finished-list', 'has pressed 4 keys');
    const calls = await page.service.json('/calls.json');
    const all = await Promise.all(calls.finished.map(({ id }) => page.service.json(`/calls/${id}.json`)));
    for (const text of [await tab.text('#finished'), JSON.stringify(all), page.service.log()]) {
      assert.ok(!text.includes('4711'), text);
    }
  });

  it('everything that can be used has a name, a role and a focus that can be seen', async () => {
    const { nodes } = await tab.send('Accessibility.getFullAXTree');
    const used = nodes.filter(({ ignored, properties }) => !ignored && properties?.some(({ name, value }) => name === 'focusable' && value.value));
    assert.ok(used.length > 10);
    const nameless = used.filter(({ name, role }) => !name?.value && role.value !== 'RootWebArea');
    assert.deepEqual(nameless.map(({ role, backendDOMNodeId }) => `${role.value} ${backendDOMNodeId}`), []);
    await tab.key('Tab');
    const outline = await tab.get('getComputedStyle(document.activeElement).outlineStyle');
    assert.notEqual(outline, 'none');
    const roles = ['banner', 'main', 'log', 'status', 'region'];
    const there = new Set(nodes.map(({ role }) => role?.value));
    assert.deepEqual(roles.filter((role) => !there.has(role)), []);
  });

  it('it can be read in both colours, and needs no sideways scrolling on a phone', async () => {
    for (const colours of ['light', 'dark']) {
      await tab.colours(colours);
      assert.deepEqual(await tab.get(`(${tooFaint})()`), [], colours);
    }
    for (const width of [320, 390, 768, 1280]) {
      await tab.size({ width, height: 844 });
      const wide = await tab.get('document.documentElement.scrollWidth');
      assert.ok(wide <= width, `${wide} at ${width}`);
    }
    assert.deepEqual(tab.complaints, []);
  });
});

/** In the page: texts whose contrast is less than 4.5 to 1 (WCAG 2.2, 1.4.3), but for what cannot be used now. */
function tooFaint() {
  const channels = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (channels(colour)[3] !== 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const texts = [...document.querySelectorAll('body *')].filter((element) => hasText(element) && element.checkVisibility());
  return texts
    .filter((element) => !element.closest(':disabled, noscript, .skip'))
    .map((element) => {
      const [a, b] = [luminance(getComputedStyle(element).color), luminance(ground(element))];
      return { text: element.textContent.slice(0, 40), contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) };
    })
    .filter(({ contrast }) => contrast < 4.5);
}
