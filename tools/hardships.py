#!/usr/bin/env python3
"""A server with an index on a full disk, a read-only one, with a clock that jumps, without memory.

tools/hardships.py [disk] [clock] [memory] [--model MODEL] [--variant VARIANT]

Needs root, as it mounts a small file system and makes a memory cgroup; the clock needs libfaketime
(Debian's package), which fakes it for the server alone. All of them are run if none is named.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memory_group import join_command, memory_group
from socket_client import ask, wait_until_ready

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
MEMORY_BYTES = 512 << 20
# Adds as many entries as are asked for, or says why not.
WRITER = """
import sys
import numpy as np
from edge_embed.errors import EdgeEmbedError
from edge_embed.tasks import Index
path, start, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
try:
    with Index(path) as index:
        random = np.random.default_rng(start)
        for number in range(start, start + count):
            vector = random.normal(size=(1, index.facts.dim))
            index.add([f"entry {number}"], vector, ids=[str(number)])
            print(number, flush=True)
except EdgeEmbedError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
"""


class Server:
    """A server at a socket file, with its process."""

    def __init__(self, process: "subprocess.Popen[bytes]", socket: str) -> None:
        self.process = process
        self.socket = socket

    def check(self, what: str, *, index: bool = True) -> None:
        """Ask for an embedding and a search, and end if either is not answered."""
        started = time.monotonic()
        found = [ask(self.socket, "/v1/embeddings", {"input": ["a text"]})[0]]
        if index:
            found.append(ask(self.socket, "/v1/search", {"query": "entry", "k": 3})[0])
        print(f"{what}: {found} after {time.monotonic() - started:.1f} s", flush=True)
        expect(set(found) == {200}, what)


def main() -> None:
    """Run the hardships that are named."""
    hardships = {"disk": disk, "clock": clock, "memory": memory}
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME", help="disk, clock or memory.")
    parser.add_argument("--model", default="edge-embed-tiny")
    parser.add_argument("--variant", default="int8")
    options = parser.parse_args()
    model = ["--model", options.model, "--variant", options.variant]
    for name in options.names or hardships:
        print(f"\n== {name}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            hardships[name](Path(folder), model)


def disk(folder: Path, model: list[str]) -> None:
    """Fill the file system of the index, free it, and make it read-only."""
    place = folder / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", place], check=True)
    try:
        index = new_index(place, model)
        kept, _ = write(index, 0, 50)
        with serving(folder, [*model, "--index", str(index)]) as server:
            with (place / "filler").open("wb") as filler:
                fill(filler)
            added, message = write(index, 1000, 10_000)
            print(f"a write to the full disk, after {len(added)} more: {message}")
            expect("the disk is full" in message, "a message that the disk is full")
            kept |= added
            server.check("full disk")
            expect(there(index, kept) == kept, "every acknowledged entry is there")
            (place / "filler").unlink()
            added, message = write(index, 100_000, 50)
            expect(len(added) == 50, f"50 entries after the disk was freed: {message}")
            kept |= added
            server.check("freed again")
        expect(there(index, kept) == kept, "every acknowledged entry is there")
        print(f"{len(kept)} acknowledged entries, none lost")
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        with serving(folder, [*model, "--index", str(index)]) as server:
            server.check("read-only file system")
            added, message = write(index, 200_000, 1)
            print(f"a write to it: {message}")
            expect(not added and message.count("\n") == 0, "one line that says why not")
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def clock(folder: Path, model: list[str]) -> None:
    """Let the server's clock jump by years, forwards and back, between requests and within."""
    index = new_index(folder, model)
    write(index, 0, 10)
    now = folder / "now"
    now.write_text("+0")
    faked = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(now),
        "FAKETIME_NO_CACHE": "1",
        # The system's monotonic clock does not jump either.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with serving(folder, [*model, "--index", str(index)], **faked) as server:
        server.check("before")
        for jump in ("+3600", "+315360000", "-315360000", "+0"):
            now.write_text(jump)
            server.check(f"clock at {jump} s")
        with ThreadPoolExecutor(1) as thread:
            texts = [f"a text of a few words, {number}" for number in range(300)]
            answer = thread.submit(ask, server.socket, "/v1/embeddings", {"input": texts})
            now.write_text("+315360000")
            expect(answer.result()[0] == 200, "a request during which the clock jumped")
        metrics = ask(server.socket, "/metrics")[1].decode()
        negative = [
            line for line in metrics.splitlines() if line.rpartition(" ")[2].startswith("-")
        ]
        expect(not negative, f"no negative number in the metrics: {negative}")


def memory(folder: Path, model: list[str]) -> None:
    """Send the largest requests that the limits take, eight at a time, with 512 MB of memory."""
    with (
        memory_group("edge-embed-hardships", MEMORY_BYTES) as group,
        serving(folder, model, group=group) as server,
    ):
        words = "one two three four five six seven eight nine ten " * 80
        texts = [f"{number} {words}" for number in range(2048)]
        expect(8_000_000 < sum(map(len, texts)) < 8 << 20, "nearly 8 MiB of texts")

        def send(_: int) -> int | str:
            try:
                return ask(server.socket, "/v1/embeddings", {"input": texts})[0]
            except OSError as error:  # refused before all was sent, and closed
                return type(error).__name__

        with ThreadPoolExecutor(8) as threads:
            found = sorted(map(str, threads.map(send, range(8))))
        print(f"eight requests of 8 MiB at once: {found}", flush=True)
        expect(server.process.poll() is None, "the server was not killed")
        server.check("afterwards", index=False)
        refused = {"200", "408", "413", "429", "503", "BrokenPipeError", "ConnectionResetError"}
        expect(set(found) <= refused, "each answered or refused")
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            if (group / name).exists():
                most = int((group / name).read_text()) / 1e6
                print(f"at most {most:.0f} MB with what it reads from the disk")


@contextmanager
def serving(
    folder: Path,
    options: list[str],
    *,
    group: Path | None = None,
    **environment: str,
) -> Iterator[Server]:
    """Run a server that is ready; it must end with status 0 at SIGTERM."""
    socket = folder / "http"
    command = [sys.executable, "-m", "edge_embed", "serve", *options, "--unix-socket", str(socket)]
    if group is not None:
        command = join_command(group, command)
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        wait_until_ready(str(socket), seconds=600)
        yield Server(process, str(socket))
        process.terminate()
        expect(process.wait(60) == 0, "status 0 after SIGTERM")
    finally:
        process.kill()
        process.wait()


def new_index(folder: Path, model: list[str]) -> Path:
    """Make an empty index for the model."""
    index = folder / "a.index"
    create = [sys.executable, "-m", "edge_embed", "index", "create", str(index), *model]
    subprocess.run(create, check=True, stdout=subprocess.DEVNULL)
    return index


def write(index: Path, start: int, count: int) -> tuple[set[str], str]:
    """Add entries from another process; return the acknowledged ids, and its message."""
    command = [sys.executable, "-c", WRITER, str(index), str(start), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return set(done.stdout.split()), done.stderr.strip()


def there(index: Path, ids: set[str]) -> set[str]:
    """Return which of the ids the index holds."""
    from edge_embed.tasks import Index

    with Index(index) as opened:
        return {entry.id for entry in opened.get(sorted(ids))}


def fill(file: Any) -> None:  # noqa: ANN401
    """Write until the file system is full."""
    try:
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    except OSError:
        os.ftruncate(file.fileno(), max(0, os.fstat(file.fileno()).st_size - (1 << 16)))


def expect(good: bool, what: str) -> None:
    """End if something is not as it should be."""
    if not good:
        raise SystemExit(f"not so: {what}")


if __name__ == "__main__":
    main()
