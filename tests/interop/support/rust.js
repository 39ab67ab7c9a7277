// The Rust side: one process, one task at a time (tests/examples/interop).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Where `cargo build --example interop` puts it; `.ci/interop` says so where it is elsewhere. */
const BINARY =
  process.env.DIALBRIDGE_INTEROP ?? fileURLToPath(new URL('../../../target/debug/examples/interop', import.meta.url));

const TASK_MS = 60_000;
const END_MS = 5_000;

export class Rust {
  #process = spawn(BINARY, { stdio: ['pipe', 'pipe', 'inherit'] });
  #waiting = new Map();
  #unread = [];
  #id = 0;

  constructor() {
    this.#process.on('error', (error) => this.#over(error));
    this.#process.on('exit', (code, signal) => this.#over(new Error(`${BINARY} has ended: ${code ?? signal}`)));
    // What is written to a process that has ended fails; its end is what is told.
    this.#process.stdin.on('error', () => {});
    this.#process.stdout.on('data', (piece) => this.#read(piece));
  }

  // Not by readline: some versions of it end a line at U+2028 too.
  #read(piece) {
    let from = 0;
    for (let end; (end = piece.indexOf('\n', from)) !== -1; from = end + 1) {
      this.#answered(Buffer.concat([...this.#unread.splice(0), piece.subarray(from, end)]));
    }
    this.#unread.push(piece.subarray(from));
  }

  #answered(line) {
    const { id, is, fault } = JSON.parse(line);
    const { resolve, reject, timer } = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(timer);
    if (fault === undefined) resolve(is);
    else reject(new Error(fault));
  }

  /** Has a task done: `ask('sign', { token, requests })`. */
  ask(task, parameters = {}) {
    const id = (this.#id += 1);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#over(new Error(`no answer to "${task}"`)), TASK_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#process.stdin.write(`${JSON.stringify({ id, do: task, ...parameters })}\n`);
    });
  }

  /** Ends the process, which must end by itself when it is told nothing more. */
  async stop() {
    this.#process.stdin.end();
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), END_MS);
    if (this.#process.exitCode === null && this.#process.signalCode === null) await once(this.#process, 'exit');
    clearTimeout(timer);
    assert.equal(this.#process.exitCode, 0, 'the example ends when its stdin does');
  }

  #over(error) {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#waiting.clear();
  }
}
