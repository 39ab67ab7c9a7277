// What most tests have: a folder of their own, a service, and a browser that may have the microphone.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';

import { Browser } from './browser.js';
import { record } from './recording.js';
import { Service } from './service.js';

/**
 * Starts a service and a browser before the tests of this `describe`, and ends them after. `microphone` is what the browser's
 * microphone hears (see `record`). `settings(folder)` gives the service's settings. The hooks and tests that follow find `folder`,
 * `service` and `browser` in what this returns.
 */
export function setUp({ microphone = [1], settings = () => ({}) } = {}) {
  const all = {};
  before(async () => {
    all.folder = mkdtempSync(join(tmpdir(), 'dialbridge-page-'));
    const file = join(all.folder, 'microphone.wav');
    record(file, microphone);
    all.service = await Service.start(settings(all.folder));
    all.browser = await Browser.start({ microphone: file });
    await all.browser.microphone(all.service.origin, 'granted');
  });
  after(async () => {
    await all.browser?.stop();
    await all.service?.stop();
    if (all.folder) rmSync(all.folder, { recursive: true });
  });
  return all;
}

/** Writes a file into the folder, and gives its path. */
export function written(folder, name, text) {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}
