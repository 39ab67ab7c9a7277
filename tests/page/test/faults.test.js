// What goes wrong, and what the page says about it: each a sentence that says what to do.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { pause } from '../support/browser.js';
import { screenshots } from '../support/screenshots.js';
import { setUp, written } from '../support/set_up.js';

const AGENTS = `
retry_budget_seconds = 1

[agents.bakery]
dialogflow_agent = "lab:"

[agents.down]
dialogflow_agent = "projects/p/locations/global/agents/a"
dialogflow_endpoint = "http://127.0.0.1:9"
`;

describe('trouble', () => {
  const page = setUp({ settings: (folder) => ({ DIALBRIDGE_CONFIG: written(folder, 'agents.toml', AGENTS) }) });

  /** A tab with the page in it, in which that script runs first. */
  async function opened(script = '') {
    const tab = await page.browser.tab();
    await tab.before(script);
    await tab.open(`${page.service.origin}/`);
    await tab.shows('#live', 'live call');
    return tab;
  }

  const live = async () => (await page.service.json('/calls.json')).liveCount;

  async function until(what, holds) {
    for (let n = 0; n < 200; n += 1) {
      if (await holds()) return;
      await pause(50);
    }
    assert.fail(what);
  }

  it('the microphone is refused: it says where to allow it, and offers a call without one', async () => {
    await page.browser.microphone(page.service.origin, 'denied');
    const tab = await opened();
    await tab.click('#call');
    await tab.shows('#status', 'Allow it beside the address');
    await screenshots(tab, 'refused');
    assert.equal(await live(), 0, 'no call was begun for it');
    await tab.click('#without');
    await tab.shows('#conversation', 'Corner Bakery, good morning');
    assert.equal(await live(), 1);
    await tab.click('#hang-up');
    await tab.shows('#status', 'You have hung up.');
    await page.browser.microphone(page.service.origin, 'granted');
    await tab.close();
  });

  it('there is no microphone, or another program has it', async () => {
    for (const [name, sentence] of [
      ['NotFoundError', 'Connect one and call again.'],
      ['NotReadableError', 'Another program has the microphone.'],
      ['AbortError', 'The microphone cannot be used (AbortError). Choose another one'],
    ]) {
      const tab = await opened(`navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '${name}'))`);
      await tab.click('#call');
      await tab.shows('#status', sentence);
      await tab.close();
    }
  });

  it('the browser lacks what it takes: it says so at once, and the rest of the page works', async () => {
    for (const [script, sentence] of [
      ['delete globalThis.AudioWorkletNode', 'This browser has no AudioWorklet.'],
      ['delete globalThis.WebSocket', 'This browser has no WebSocket.'],
      ['Object.defineProperty(globalThis, "isSecureContext", { value: false })', 'over https or from localhost'],
    ]) {
      const tab = await opened(script);
      await tab.shows('#status', sentence);
      assert.equal(await tab.get('document.getElementById("call").disabled'), true);
      await tab.shows('#agents', 'Answers');
      await tab.close();
    }
  });

  it('the agent is down: the page says it before a call and in one', async () => {
    const tab = await opened();
    await tab.shows('[aria-label="Agent down"]', 'Does not answer: UNAVAILABLE');
    await tab.shows('[aria-label="Agent bakery"]', 'Answers the starting text');
    await tab.get('document.getElementById("agent").value = "down"');
    await tab.click('#call');
    await tab.shows('#conversation', 'UNAVAILABLE');
    await tab.shows('#handoff', 'We are sorry, there is a technical problem.');
    await tab.shows('#status', 'The agent has failed.');
    assert.match(await tab.text('#conversation'), /The agent does not answer \(\d times\): UNAVAILABLE/);
    assert.equal(await tab.get('document.querySelectorAll("#conversation .bad").length'), 1, 'one line for all of them');
    await tab.until('document.querySelector("#finished-list .outcome.bad")', 'the failed call');
    await tab.click('#finished-list summary');
    await tab.shows('#finished-list', 'times, last at');
    assert.ok((await tab.get('document.querySelectorAll("#finished-list .mark.fault").length')) > 1, 'each has its mark');
    assert.doesNotMatch(await tab.text('#finished-list'), /undefined|false|null/);
    assert.equal(await tab.get('document.querySelectorAll("#finished-list li.bad strong").length'), 1);
    await screenshots(tab, 'down');
    await tab.close();
  });

  it('the ticket does not hold: it says how long one does', async () => {
    const forged = `const ask = fetch; globalThis.fetch = async (path, options) => {
      const response = await ask(path, options);
      if (!path.endsWith('/softphone')) return response;
      const ticket = await response.json();
      return Response.json({ ...ticket, media: ticket.media + 'A' });
    }`;
    const tab = await opened(forged);
    await tab.click('#call');
    await tab.shows('#status', 'A ticket holds for one minute and one call');
    assert.equal(await tab.get('document.getElementById("call").disabled'), false);
    await tab.close();
  });

  it('the events of a live call are refused: its lanes stand still, and say why', async () => {
    const tab = await opened();
    await tab.click('#call');
    await tab.shows('#conversation', 'Corner Bakery, good morning');
    const other = await opened(`const Source = EventSource; globalThis.EventSource = class extends Source {
      constructor(url) { super(url.includes('/softphone/events/') ? url + '-gone' : url); }
    }`);
    await other.click('#live-list summary');
    await other.shows('#live-list .notice', 'This call cannot be followed');
    await other.shows('#live-list .lane-tools', 'The lanes stand still.');
    assert.equal(await other.get('document.querySelectorAll("#live-list .live-mark, #live-list .now:not([hidden])").length'), 0);
    await other.close();
    await tab.send('Page.bringToFront');
    await tab.click('#hang-up');
    await until('the call is over', async () => (await live()) === 0);
    await tab.close();
  });

  it('a call that was followed cannot be read when it is over: its lanes stay, and say why', async () => {
    const tab = await opened(`const ask = fetch; globalThis.fetch = (path, options) =>
      /calls\\/\\d+\\.json$/.test(path) ? Promise.resolve(new Response('The instance has no room.', { status: 503 })) : ask(path, options)`);
    await tab.click('#call');
    await tab.until('document.querySelector("#live-list summary")', 'the live call');
    await tab.click('#live-list summary');
    await tab.shows('#live-list .track', 'Corner Bakery, good morning');
    await tab.click('#hang-up');
    await tab.shows('#finished-list details[open] .notice', 'The instance has no room.');
    await tab.shows('#finished-list details[open] .track', 'Corner Bakery, good morning');
    assert.equal(await tab.get('document.querySelectorAll("#finished-list .live-mark").length'), 0);
    await tab.close();
  });

  it('the tab is closed in the middle of a call: nothing is left of it', async () => {
    const tab = await opened();
    await tab.click('#call');
    await tab.shows('#conversation', 'Corner Bakery, good morning');
    assert.equal(await live(), 1);
    await tab.close();
    await until('the call is over', async () => (await live()) === 0);
    const [last] = (await page.service.json('/calls.json')).finished;
    assert.ok(['stop', 'media stream closed'].includes(last.reason), last.reason);
  });

  it('the microphone goes away in the middle of a call', async () => {
    const tab = await opened(`const give = MediaDevices.prototype.getUserMedia;
      MediaDevices.prototype.getUserMedia = async function (...all) { return (globalThis.given = await give.apply(this, all)); }`);
    await tab.click('#call');
    await tab.shows('#conversation', 'Corner Bakery, good morning');
    await tab.get('given.getAudioTracks()[0].dispatchEvent(new Event("ended"))');
    await tab.shows('#status', 'The microphone has gone.');
    await until('the call is over', async () => (await live()) === 0);
    await tab.close();
  });

  it('the instance ends: the call is told, and the next one before it begins', async () => {
    const tab = await opened();
    await tab.click('#call');
    await tab.shows('#conversation', 'Corner Bakery, good morning');
    page.service.terminate();
    await tab.shows('#status', 'This instance is ending.');
    await tab.shows('#trouble', 'The list of calls stands still. The service cannot be reached.');
    await tab.click('#call');
    await tab.shows('#status', 'Look whether the service is still running');
    await tab.close();
  });
});

describe('the login', () => {
  const page = setUp({ settings: () => ({ ADMIN_TOKEN: 'the-browser-tests-token' }) });

  it('lets nobody in but who has the token, and out again', async () => {
    const tab = await page.browser.tab();
    const logIn = async (token) => {
      await tab.click('#token');
      await tab.write(token);
      await tab.key('Enter');
    };
    await tab.open(`${page.service.origin}/`);
    await logIn('wrong');
    await tab.shows('#fault', 'That is not the token.');
    await screenshots(tab, 'login');
    await logIn('the-browser-tests-token');
    await tab.shows('#agents', 'Answers');
    assert.equal(await tab.get('document.cookie'), '', 'no script reads it');
    // As when it has expired.
    await tab.send('Network.clearBrowserCookies');
    await tab.click('#call');
    await tab.shows('#status', 'You are logged out. Reload the page and log in.');
    await tab.open(`${page.service.origin}/`);
    await logIn('the-browser-tests-token');
    await tab.shows('#live', '0 live calls');
    await tab.click('#logout button');
    await tab.shows('body', "The service's ADMIN_TOKEN");
    await tab.close();
  });
});
