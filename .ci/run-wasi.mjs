#!/usr/bin/env -S node --no-warnings
// Runs a WASI program: `.ci/run-wasi.mjs PROGRAM.wasm [ARGUMENT]...`, with node 20 or later. The program has standard
// input, output and error, and sees only the current folder of this machine. WITHOUT_IMPORTS is a list, separated by
// spaces, of system functions that the program must not import.
import { readFile } from 'node:fs/promises';
import { WASI } from 'node:wasi';

const [program, ...rest] = process.argv.slice(2);
const module = await WebAssembly.compile(await readFile(program));
const without = (process.env.WITHOUT_IMPORTS ?? '').split(' ');
const asked = WebAssembly.Module.imports(module).map((it) => it.name).filter((name) => without.includes(name));
if (asked.length > 0) {
    console.error(`${program}: asks the system for ${asked.join(', ')}`);
    process.exit(1);
}
const wasi = new WASI({ version: 'preview1', args: [program, ...rest], preopens: { '.': '.' } });
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
try {
    process.exitCode = wasi.start(instance);
} catch (error) {
    // A panic ends here, after its message, because there is no unwinding. 134 is a shell's exit code for an abort.
    console.error(`${program}: ${error.message}`);
    process.exitCode = 134;
}
