"""A server in a process of its own, which is killed when it takes more memory than it may."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median

from edge_embed.hardware.machine import memory_mb
from tools.memory_group import join_command, memory_group

__all__ = ["Server"]

_STOP_SECONDS = 60
_WATCH_SECONDS = 0.2


class Server:
    """``edge-embed serve``; a context that stops it, and says in ``problems`` what went wrong.

    It runs in a memory cgroup with the limit, as under a systemd unit's ``MemoryMax=``: the kernel
    drops pages of files as the limit comes near, and kills the server beyond. Where no cgroup can
    be made, which takes root, it is killed once its resident memory has been above the limit, by
    the kernel's own count (VmHWM), which no moment between two looks escapes. That is stricter:
    pages of files count.
    """

    def __init__(
        self, arguments: Sequence[str], log: Path, most_mb: float, start_seconds: float = 900.0
    ) -> None:
        self._log, self._most, self._start_seconds = log, most_mb, start_seconds
        self.problems: list[str] = []
        self.memory: list[tuple[float, float]] = []
        """Resident memory in MiB, each with the seconds since the start."""
        self.peak = 0.0
        """Most memory in MiB."""
        self._started = time.monotonic()
        self.anonymous = 0.0
        """Most memory in MiB that is no page of a file, of some looks a second."""
        command = [sys.executable, "-m", "edge_embed", "serve", "--port", "0", *arguments]
        self._group = ExitStack()
        self.in_group = False
        with suppress(OSError):
            limit = int(most_mb * (1 << 20))
            group = self._group.enter_context(
                memory_group(f"edge-embed-attack-{os.getpid()}", limit)
            )
            command, self.in_group = join_command(group, command), True
        with log.open("wb") as stream:
            self.process = subprocess.Popen(command, stderr=stream)
        self._watch = threading.Thread(target=self._watch_memory, daemon=True)

    def __enter__(self) -> "Server":
        """Wait until it is ready."""
        end = time.monotonic() + self._start_seconds
        while not (found := re.search(r"ready at \S+:(\d+)\n", self.log())):
            if self.process.poll() is not None:
                raise RuntimeError(f"the server does not start: {self.log()[-500:]}")
            if time.monotonic() > end:
                self.process.kill()
                raise TimeoutError(f"it does not start within {self._start_seconds:.0f} s")
            time.sleep(0.1)
        self.port = int(found[1])
        self._started = time.monotonic()
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it as a unit does."""
        if self.process.poll() is not None:
            self.problems.append(f"the server has ended with status {self.process.returncode}")
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.problems.append(f"the server does not stop within {_STOP_SECONDS} s")
            self.process.kill()
            self.process.wait()
        self._watch.join()
        self._group.close()
        if count := self.log().count("Traceback"):
            self.problems.append(f"{count} tracebacks in the log")

    def log(self) -> str:
        """Return what it has said."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def memory_between(self, first: float, last: float) -> float:
        """Return the median of the memory between two times, in seconds from the start, in MiB."""
        return median([size for at, size in self.memory if first <= at <= last] or [float("nan")])

    def _watch_memory(self) -> None:
        while sizes := memory_mb(self.process.pid):  # none is left when it has ended
            self.memory.append((time.monotonic() - self._started, sizes["resident"]))
            self.peak = sizes["peak"]
            self.anonymous = max(self.anonymous, sizes["anonymous"])
            if self.peak > self._most and not self.in_group:
                self.problems.append(f"killed: {self.peak:.0f} MiB are over {self._most:.0f}")
                self.process.kill()
                return
            time.sleep(_WATCH_SECONDS)
