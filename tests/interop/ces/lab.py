"""The lab, started by the same process as for the other interop tests (tests/examples/interop), and its recordings."""

import json
import os
import pathlib
import subprocess
import threading

ROOT = pathlib.Path(__file__).resolve().parents[3]

# Where `cargo build --example interop` puts it; `.ci/interop` says so where it is elsewhere.
BINARY = os.environ.get("DIALBRIDGE_INTEROP", str(ROOT / "target/debug/examples/interop"))

TASK_S = 60


class Lab:
    """Serves lab agents: one task a line, one answer a line."""

    def __init__(self):
        self.process = subprocess.Popen([BINARY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.id = 0

    def agent(self, script=None):
        """Serves an agent with that script, or the bakery; its port."""
        self.id += 1
        task = {"id": self.id, "do": "agent", **({"script": script} if script else {})}
        self.process.stdin.write(json.dumps(task).encode() + b"\n")
        self.process.stdin.flush()
        # A process that does not answer is ended, and then there is nothing to read.
        timer = threading.Timer(TASK_S, self.process.kill)
        timer.start()
        answer = json.loads(self.process.stdout.readline())
        timer.cancel()
        if "fault" in answer or answer["id"] != self.id:
            raise RuntimeError(answer)
        return answer["is"]["port"]

    def stop(self):
        self.process.stdin.close()
        if self.process.wait(timeout=5) != 0:
            raise RuntimeError("the example ends when its stdin does")
        self.process.stdout.close()


def recording(name):
    """A recording of the bakery: mu-law at 8000 Hz, without its header."""
    wav = (ROOT / "lab/agents/bakery" / name).read_bytes()
    at = 12
    while wav[at : at + 4] != b"data":
        at += 8 + int.from_bytes(wav[at + 4 : at + 8], "little")
    return wav[at + 8 : at + 8 + int.from_bytes(wav[at + 4 : at + 8], "little")]


def chunks(audio, size=800):
    """Pieces of 100 ms, the last one filled up with silence."""
    for at in range(0, len(audio), size):
        yield audio[at : at + size].ljust(size, b"\xff")
