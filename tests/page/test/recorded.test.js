// A recorded call as two lanes: what is drawn, what plays, and what can be downloaded.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { promisify } from 'node:util';

import { screenshots } from '../support/screenshots.js';
import { Service } from '../support/service.js';
import { setUp } from '../support/set_up.js';

const OPEN = '#finished-list details[open]';

describe('a recorded call', () => {
  const page = setUp({
    microphone: [5.5, 'order.wav', 5.6, 'nine.wav', 20],
    // Every turn is slow, so that the page has one to mark.
    settings: (folder) => ({ RECORD_DIR: folder, SLOW_STAGES_MS: 'agent=100' }),
  });
  let tab;
  before(async () => {
    tab = await page.browser.tab();
    await tab.open(`${page.service.origin}/`);
    await tab.shows('#live', '0 live calls');
    await tab.click('#call');
    await tab.shows('#conversation', 'You interrupt', 30_000);
    await tab.key('5');
    await tab.shows('#conversation', 'order.time', 20_000);
    await tab.click('#hang-up');
    await tab.until('document.querySelector("#finished-list summary")', 'the finished call');
    await tab.click('#finished-list summary');
    await tab.until(`document.querySelector('${OPEN} .lanes')`, 'the lanes');
  });

  const count = (selector) => tab.get(`document.querySelectorAll(${JSON.stringify(`${OPEN} ${selector}`)}).length`);

  it('has both waveforms, the words, the cut, the key and the slow stage', async () => {
    await screenshots(tab, 'recorded');
    assert.ok((await count('.lane.caller path')) >= 1 && (await count('.lane.agent path')) >= 1);
    assert.equal(await count('.mark.cut'), 1);
    assert.doesNotMatch(await tab.text(OPEN), /undefined|false|null/);
    assert.equal(await count('.mark.key'), 1);
    assert.ok((await count('.stage')) >= 4 && (await count('.stage.slow')) >= 1);
    assert.match(await tab.text(`${OPEN} .lane-words`), /s of speech/);
    const inside = '(({ left, width }) => left >= 0 && left + width <= innerWidth)';
    assert.ok(await tab.get(`${inside}(document.querySelector('${OPEN} .lanes-scroll').getBoundingClientRect())`));
    // The caller's waveform is loud where the transcript says that he spoke, and the agent's is not.
    const loud = `(lane, from, to) => {
      const paths = [...document.querySelectorAll('${OPEN} .lane.' + lane + ' path')].map((path) => path.getAttribute('d'));
      const points = paths.flatMap((path) => [...path.matchAll(/(\\d+) -([\\d.]+)/g)].slice(0, -1));
      const some = points.slice(points.length * from, points.length * to).map(([, , height]) => Number(height));
      return Math.max(...some);
    }`;
    const { finished } = await page.service.json('/calls.json');
    const { lines } = await page.service.json(`/calls/${finished[0].id}.json`);
    const { speechBeganAtMs: from, speechEndedAtMs: to } = lines.find(({ what, speechEndedAtMs }) => what === 'stages' && speechEndedAtMs);
    const all = finished[0].tookMs;
    assert.ok((await tab.get(`(${loud})('caller', ${from / all}, ${to / all})`)) > 0.3);
    assert.ok((await tab.get(`(${loud})('agent', ${from / all}, ${to / all})`)) < 0.3);
    assert.ok((await tab.get(`(${loud})('agent', 0, ${from / all})`)) > 0.3);
  });

  it('plays both sides by a click and by the keyboard, and goes where one clicks', async () => {
    const at = () => tab.get(`Number(document.querySelector('${OPEN} input[type=range]').value)`);
    await tab.click(`${OPEN} .play`);
    await tab.shows(`${OPEN} .play`, 'Pause');
    await tab.until(`document.querySelector('${OPEN} input[type=range]').value > 300`, 'it plays');
    await tab.get(`document.querySelector('${OPEN} .lanes-scroll').focus()`);
    await tab.key('Space');
    await tab.shows(`${OPEN} .play`, 'Play');
    const stopped = await at();
    await tab.key('ArrowRight');
    assert.ok((await at()) >= stopped + 1900, 'an arrow goes two seconds on');
    const width = () => tab.get(`document.querySelector('${OPEN} .track').offsetWidth`);
    const before = await width();
    await tab.key('+');
    assert.ok((await width()) > before, '+ zooms in');
    await tab.click(`${OPEN} [aria-label="Show the whole call"]`);
    assert.ok((await width()) <= (await tab.get(`document.querySelector('${OPEN} .lanes-scroll').clientWidth`)) + 1);
    await tab.click(`${OPEN} .lane.agent`);
    assert.ok(Math.abs((await at()) / (await tab.get(`Number(document.querySelector('${OPEN} input[type=range]').max)`)) - 0.5) < 0.1);
  });

  it('gives the tape, the audio and a test that runs', async () => {
    const links = await tab.get(`[...document.querySelectorAll('${OPEN} .exports a')].map(({ href }) => href)`);
    assert.deepEqual(links.map((link) => link.split('/').at(-1)), ['test.zip', 'tape.jsonl', 'call.wav']);
    for (const link of links) {
      const response = await fetch(link);
      assert.equal(response.status, 200, link);
      assert.match(response.headers.get('content-disposition'), /attachment; filename="browser-/);
    }
    assert.match(await tab.text(`${OPEN} .exports`), /Make this a test/);
    const tape = await (await fetch(links[1])).text();
    assert.equal(JSON.parse(tape.split('\n')[0]).tape, 1);
    // Python's reader checks the archive's sums.
    const zip = join(page.folder, 'test.zip');
    writeFileSync(zip, Buffer.from(await (await fetch(links[0])).arrayBuffer()));
    const run = promisify(execFile);
    await run('python3', ['-m', 'zipfile', '-e', zip, join(page.folder, 'test')]).catch((error) => {
      if (error.code !== 'ENOENT') throw error;
    });
  });

  it('is found by its CallSid, by the filter and by its address', async () => {
    const [call] = (await page.service.json('/calls.json')).finished;
    const shown = () => tab.get('document.getElementById("finished-list").childElementCount');
    const find = (id, value, event) => tab.get(`(() => {
      const field = document.getElementById('${id}');
      field.value = '${value}';
      field.dispatchEvent(new Event('${event}'));
    })()`);
    await tab.click(`${OPEN} .play`);
    await tab.shows(`${OPEN} .play`, 'Pause');
    await tab.get(`globalThis.play = document.querySelector('${OPEN} .play'); 0`);
    await find('find', 'nobody', 'input');
    await tab.shows('#finished', 'No call is like that');
    assert.match(await tab.get('play.textContent'), /Play/, 'it stops with its item');
    await find('find', call.callSid.slice(-6), 'input');
    assert.equal(await shown(), 1);
    await find('choice', 'trouble', 'change');
    assert.equal(await shown(), 0, 'it went well');
    await find('choice', 'recorded', 'change');
    assert.equal(await shown(), 1);
    const other = await page.browser.tab();
    await other.open(`${page.service.origin}/#call-${call.callSid}`);
    await other.until(`document.querySelector('${OPEN} .lanes')`, 'the call of the address is open');
    await other.get('location.hash = "#call-gone"');
    await other.shows('#finished', 'is not kept any more');
    await other.close();
    assert.equal(await tab.text('#finished-list .outcome'), 'the caller hung up');
    assert.match(await tab.text('#strip'), /calls in the last hour\s+1\b/);
  });

  it('says so where a call was not recorded', async () => {
    const other = await Service.start();
    const second = await page.browser.tab();
    await page.browser.microphone(other.origin, 'denied');
    await second.open(`${other.origin}/`);
    await second.shows('#live', '0 live calls');
    await second.click('#call');
    await second.until('!document.getElementById("without").hidden');
    await second.click('#without');
    await second.shows('#conversation', 'Corner Bakery', 20_000);
    await second.click('#hang-up');
    await second.until('document.querySelector("#finished-list summary")', 'the finished call');
    await second.click('#finished-list summary');
    await second.shows(OPEN, 'the call was not recorded');
    assert.equal(await second.get(`document.querySelectorAll('${OPEN} .play, ${OPEN} .exports').length`), 0);
    await screenshots(second, 'unrecorded');
    await second.close();
    await other.stop();
  });

  it('has complained of nothing', () => {
    assert.deepEqual(tab.complaints, []);
  });
});
