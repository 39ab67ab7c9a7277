// The service: a process of `dialbridge serve` on a free port.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Where `cargo build` puts it; `.ci/page` says so where it is elsewhere. */
const BINARY = process.env.DIALBRIDGE ?? fileURLToPath(new URL('../../../target/debug/dialbridge', import.meta.url));

const START_MS = 20_000;
const END_MS = 15_000;

export class Service {
  #process;
  #lines = [];
  #unread = '';
  port;

  /** Starts it with these settings, and no others. */
  static async start(settings = {}) {
    const service = new Service();
    // In a folder where no `.env` is.
    const env = { PATH: process.env.PATH, PORT: '0', ...settings };
    service.#process = spawn(BINARY, ['serve'], { cwd: '/', env, stdio: ['ignore', 'pipe', 'inherit'] });
    service.#process.stdout.on('data', (piece) => service.#read(piece));
    const timer = setTimeout(() => service.#process.kill('SIGKILL'), START_MS);
    while (!service.port) {
      await Promise.race([once(service.#process.stdout, 'data'), once(service.#process, 'exit')]);
      assert.equal(service.#process.exitCode, null, `${BINARY} has ended: ${service.log()}`);
      service.port = service.#lines.find((line) => line.port)?.port;
    }
    clearTimeout(timer);
    return service;
  }

  #read(piece) {
    const lines = (this.#unread + piece).split('\n');
    this.#unread = lines.pop();
    this.#lines.push(...lines.map((line) => JSON.parse(line)));
  }

  get origin() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Its log, as text. */
  log() {
    return this.#lines.map((line) => JSON.stringify(line)).join('\n');
  }

  /** What a path answers, as JSON. */
  async json(path) {
    const response = await fetch(this.origin + path);
    assert.equal(response.status, 200, path);
    return response.json();
  }

  /** Tells it to end, as the platform does. */
  terminate() {
    this.#process.kill('SIGTERM');
  }

  async stop() {
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), END_MS);
    this.#process.kill('SIGTERM');
    if (this.#process.exitCode === null && this.#process.signalCode === null) await once(this.#process, 'exit');
    clearTimeout(timer);
  }
}
