"""A server in a process of its own, which is killed when it takes more memory than it may."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from edge_embed.hardware.machine import memory_mb

__all__ = ["Server"]

_STOP_SECONDS = 60
_WATCH_SECONDS = 0.2


class Server:
    """``edge-embed serve``; a context that stops it, and says in ``problems`` what went wrong.

    Its resident memory is watched, and its peak is the kernel's own count (VmHWM), which no moment
    between two looks escapes. This is stricter than the ``MemoryMax=`` of a systemd unit: pages of
    files count too, though the kernel could drop them.
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
        command = [sys.executable, "-m", "edge_embed", "serve", "--port", "0", *arguments]
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
        if count := self.log().count("Traceback"):
            self.problems.append(f"{count} tracebacks in the log")

    def log(self) -> str:
        """Return what it has said."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def memory_about(self, seconds: float) -> float:
        """Return the median of the memory in the minute before a time, in MiB."""
        about = sorted(size for at, size in self.memory if seconds - 60 <= at <= seconds)
        return about[len(about) // 2] if about else float("nan")

    def _watch_memory(self) -> None:
        while sizes := memory_mb(self.process.pid):  # none is left when it has ended
            self.memory.append((time.monotonic() - self._started, sizes["resident"]))
            self.peak = sizes["peak"]
            if self.peak > self._most:
                self.problems.append(f"killed: {self.peak:.0f} MiB are over {self._most:.0f}")
                self.process.kill()
                return
            time.sleep(_WATCH_SECONDS)
