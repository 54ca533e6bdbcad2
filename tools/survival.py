#!/usr/bin/env python3
"""Kill a server and a writer of its index with -9 under load, again and again; nothing may be lost.

tools/survival.py [--rounds 60] [--model MODEL] [--variant VARIANT]

In each round a server with an attached index answers three clients while a process adds to the
index; both are killed at a random moment and started again. Every text whose adding was
acknowledged must be in the index, and the next request must be answered.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from socket_client import ask, wait_until_ready

# Longest that a server may take to be ready, and again to answer a search, in seconds.
WAIT = 300.0

# Slow enough that the index of sixty rounds fits into the memory of a small box.
WRITER = """
import sys
import time
import numpy as np
from edge_embed.tasks import Index
path, start = sys.argv[1], int(sys.argv[2])
with Index(path) as index:
    random = np.random.default_rng(start)
    for number in range(start, start + 1_000_000):
        index.add([f"entry {number}"], random.normal(size=(1, index.facts.dim)), ids=[str(number)])
        print(number, flush=True)  # acknowledged
        time.sleep(0.002)
"""


class Round:
    """A server and a writer, until they are killed."""

    def __init__(self, folder: Path, model: list[str], start: int) -> None:
        self._socket = str(folder / "http")
        self._index = str(folder / "a.index")
        command = [sys.executable, "-m", "edge_embed", "serve", *model, "--index", self._index]
        self.log = folder / "server.log"
        with self.log.open("w") as log:
            self._server = subprocess.Popen([*command, "--unix-socket", self._socket], stderr=log)
        # A file, as a pipe that nobody reads is full before the kill, and the writer waits.
        self._acknowledgements = folder / "acknowledged"
        with self._acknowledgements.open("w") as output:
            self._writer = subprocess.Popen(
                [sys.executable, "-c", WRITER, self._index, str(start)], stdout=output
            )
        self.answered = self.failed = self.refused = 0
        self.last_failure = ""

    def load(self, seconds: float) -> None:
        """Ask from three threads for some time, then kill both while the writer writes."""
        self.ready = wait_until_ready(self._socket, seconds=WAIT)
        status, until = 503, time.monotonic() + WAIT
        # On an overloaded machine, no result within the server's minute.
        while status == 503 and time.monotonic() < until:
            status, content = ask(self._socket, "/v1/search", {"query": "entry", "k": 3})
            self.refused += status == 503
        if status != 200:
            log = self.log.read_text()
            raise SystemExit(f"the first request after a start: {status} {content.decode()}\n{log}")
        self.answered += 1
        stop = threading.Event()
        clients = [threading.Thread(target=self._ask, args=(stop,)) for _ in range(3)]
        for client in clients:
            client.start()
        time.sleep(seconds)
        if self._writer.poll() is not None:
            raise SystemExit(f"the writer ended by itself, with status {self._writer.returncode}")
        for process in (self._server, self._writer):
            process.send_signal(signal.SIGKILL)
        stop.set()
        for process in (self._server, self._writer):
            process.wait()
        for client in clients:
            client.join()

    def acknowledged(self) -> list[str]:
        """Return the ids that the writer was told are kept."""
        lines = self._acknowledgements.read_text().splitlines(keepends=True)
        return [line.strip() for line in lines if line.endswith("\n")]

    def _ask(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                status, content = ask(self._socket, "/v1/search", {"query": "entry", "k": 3})
                good, said = status == 200, f"{status} {content.decode()}"
            except OSError as error:
                good = stop.is_set() or self._server.poll() is not None
                status, said = 0, repr(error)
            self.answered += status == 200
            self.failed += not good
            self.last_failure = self.last_failure if good else said


def main() -> None:
    """Run the rounds and print what was lost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--model", help="A folder or a shipped model's name.")
    parser.add_argument("--variant", help="Of the model; 'static' starts fastest.")
    options = parser.parse_args()
    model = ["--model", options.model] if options.model else []
    model += ["--variant", options.variant] if options.variant else []
    kept: set[str] = set()
    answered = failed = 0
    slowest = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        create = [sys.executable, "-m", "edge_embed", "index", "create", str(folder / "a.index")]
        subprocess.run([*create, *model], check=True)
        for number in range(options.rounds):
            start = number * 1_000_000
            one = Round(folder, model, start)
            one.load(random.uniform(0.5, 3))
            kept.update(one.acknowledged())
            answered, failed = answered + one.answered, failed + one.failed
            slowest = max(slowest, one.ready)
            lost = kept - there(folder / "a.index", kept)
            print(
                f"round {number + 1}: {one.answered} answers, {one.failed} failed, "
                f"{one.refused} times 503 before the first, "
                f"{len(kept)} acknowledged, {len(lost)} lost, ready after {one.ready:.1f} s",
                flush=True,
            )
            if lost or one.failed:
                said = f"{one.last_failure}\n{one.log.read_text()}"
                raise SystemExit(f"lost {sorted(lost)[:5]}, failed {one.failed}: {said}")
    rounds = f"{options.rounds} rounds: {answered} answers, {len(kept)} texts kept"
    print(f"{rounds}, ready after {slowest:.1f} s at most")


def there(path: Path, ids: set[str]) -> set[str]:
    """Return which of the ids the index holds."""
    from edge_embed.tasks import Index

    with Index(path) as index:
        return {entry.id for entry in index.get(sorted(ids))}


if __name__ == "__main__":
    main()
