"""Runs a WASI program like run-wasi.mjs, but with PyPI's wasmtime, for machines without node."""

import os
import sys

from wasmtime import Engine, ExitTrap, Linker, Module, Store, Trap, WasiConfig

path = sys.argv[1]
engine = Engine()
module = Module.from_file(engine, path)
without = os.environ.get("WITHOUT_IMPORTS", "").split()
asked = [it.name for it in module.imports if it.name in without]
if asked:
    sys.exit(f"{path}: asks the system for {', '.join(asked)}")
wasi = WasiConfig()
wasi.argv = sys.argv[1:]
wasi.inherit_stdin()
wasi.inherit_stdout()
wasi.inherit_stderr()
wasi.preopen_dir(".", ".")
store = Store(engine)
store.set_wasi(wasi)
linker = Linker(engine)
linker.define_wasi()
try:
    linker.instantiate(store, module).exports(store)["_start"](store)
except ExitTrap as end:
    sys.exit(end.code)
except Trap as trap:
    # A panic ends here, after its message, because there is no unwinding. 134 is a shell's exit code for an abort.
    print(f"{path}: {trap.message}", file=sys.stderr)
    sys.exit(134)
