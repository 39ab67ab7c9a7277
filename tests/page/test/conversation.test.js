// A whole conversation with the lab's bakery, by a recorded microphone: an order, a barge-in, a hand-off to a person.

import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';

import { screenshots } from '../support/screenshots.js';
import { setUp } from '../support/set_up.js';

describe('a conversation', () => {
  const page = setUp({
    // The greeting has 3 s, the long answer 12: what is said into it comes 5 s after it has begun, or so.
    microphone: [5.5, 'order.wav', 5.6, 'nine.wav', 7, 'colleague.wav', 1],
    settings: () => ({ END_OF_INTERACTION_URL: 'https://example.com/next?shop=1' }),
  });
  let tab;
  before(async () => {
    tab = await page.browser.tab();
    await tab.open(`${page.service.origin}/`);
  });

  it('shows what is configured, and that the agent answers', async () => {
    await tab.shows('#agents', 'Answers the starting text within');
    const shown = await tab.text('#agents');
    for (const part of ['default', 'CX', 'projects/lab/locations/global/agents/lab', 'en-US', 'example.com']) {
      assert.ok(shown.includes(part), `${part} in ${shown}`);
    }
    await tab.shows('#live', '0 live calls');
    await screenshots(tab, 'idle');
  });

  it('hears the agent, understands, interrupts, and ends with the hand-off', async () => {
    await tab.click('#call');
    await tab.shows('#status', 'Connected');
    await tab.shows('#live-list', 'browser');
    await tab.shows('#conversation', 'Corner Bakery, good morning');
    await tab.until('document.getElementById("loudspeaker").value > 0.1', 'the agent is heard');
    await tab.shows('#conversation', 'You\n“[1.8 s of speech]”', 20_000);
    await tab.shows('#conversation', 'order.bread');
    await tab.shows('#live-list', 'agent speaks');
    await tab.click('#live-list summary');
    await tab.shows('#live-list .timeline', 'order.bread');
    await tab.shows('#conversation', 'You interrupt', 20_000);
    await screenshots(tab, 'live');
    await tab.shows('#conversation', 'order.time');
    await tab.shows('#conversation', 'speak-to-an-agent', 20_000);
    await tab.shows('#status', 'The agent has handed the call on.', 20_000);
    const said = await tab.text('#conversation');
    assert.equal(said.match(/until the answer/g).length, 4, said);
    assert.equal(said.match(/You interrupt/g).length, 1, said);
    assert.equal(await tab.get('document.querySelectorAll("#conversation .passing").length'), 0);
    const bread = await tab.get('[...document.querySelectorAll("#conversation pre")].at(-1).textContent');
    assert.deepEqual(JSON.parse(bread), { ...JSON.parse(bread), bread: 'rye', loaves: 2, time: '09:00' });
  });

  it('shows what a phone call would get', async () => {
    const shown = await tab.text('#handoff');
    for (const part of ['Redirect', 'https://example.com/next', 'live-agent-handoff', 'speak-to-an-agent', '"department"']) {
      assert.ok(shown.includes(part), `${part} in ${shown}`);
    }
    assert.equal(await tab.get('document.getElementById("call").disabled'), false, 'and is ready for the next call');
    assert.equal(await tab.get('document.getElementById("hang-up").disabled'), true);
  });

  it('keeps the call with its timeline', async () => {
    await tab.shows('#live', '0 live calls');
    // It was open while it was live, so it is open now.
    await tab.shows('#finished-list', 'interrupts (by speech)');
    assert.equal(await tab.text('#finished-list .outcome'), 'to a person');
    const timeline = await tab.text('#finished-list');
    for (const part of ['live-agent-handoff', '4 turns', 'Two loaves of rye bread', 'is over: stop']) {
      assert.ok(timeline.includes(part), `${part} in ${timeline}`);
    }
    await screenshots(tab, 'over');
    const [call] = (await page.service.json('/calls.json')).finished;
    const { lines } = await page.service.json(`/calls/${call.id}.json`);
    const heard = lines.filter(({ what }) => what === 'played');
    assert.ok(heard.length >= 3 && heard.every(({ byMark }) => byMark), 'what was heard is known by marks that came back');
  });

  it('has asked nobody else for anything, and its policy has refused nothing', () => {
    const own = [page.service.origin, page.service.origin.replace('http', 'ws'), 'data:'];
    assert.ok(tab.asked.length > 10);
    assert.deepEqual(tab.asked.filter((url) => !own.some((start) => url.startsWith(start))), []);
    assert.deepEqual(tab.complaints, []);
    const warnings = page.service.log().split('\n').filter((line) => /"severity":"(WARNING|ERROR)"/.test(line));
    assert.deepEqual(warnings.filter((line) => !line.includes('TWILIO_AUTH_TOKEN')), []);
  });
});
