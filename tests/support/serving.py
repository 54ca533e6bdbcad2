"""A server for tests: its application in this process, or the program in another."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from edge_embed import Embedder
from edge_embed.server import ModelSource, Service, create_app

WAIT = 60  # seconds after which a test is stuck


def source(folder: Path, name: str = "tiny", **options: Any) -> ModelSource:
    """A model of a test."""
    return ModelSource.find(name, str(folder), lambda: Embedder(folder, cache=False, **options))


@contextlib.asynccontextmanager
async def running(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, started and stopped in this event loop."""
    await service.start()
    try:
        async with client(create_app(service)) as http:
            yield http
    finally:
        await service.close()


def client(app: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    return httpx.AsyncClient(transport=transport, base_url="http://test", timeout=WAIT)


def with_client(service: Service, test: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """Run a test against a service."""

    async def run() -> None:
        async with running(service) as http:
            await test(http)

    asyncio.run(run())


_COMMAND = (sys.executable, "-m", "edge_embed", "serve", "--no-cache", "--port", "0")


class Program:
    """``edge-embed serve`` as a process."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: dict[str, str] | None = None,
        *,
        command: Sequence[str] = _COMMAND,
    ) -> None:
        self.process = subprocess.Popen(
            [*command, *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.lines: list[str] = []
        self._said = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            ready = self.wait_for_line("ready at ")
        except AssertionError:
            self.end()  # nobody else could
            raise
        self.address = ready.rpartition(" ")[2]
        self.url = f"http://{self.address}"
        self.port = int(match.group(1)) if (match := re.search(r":(\d+)$", self.address)) else 0

    def wait_for_line(self, text: str, after: int = 0) -> str:
        """Return the first line with ``text`` that the program has said or says."""
        with self._said:
            found = self._said.wait_for(
                lambda: (
                    next((line for line in self.lines[after:] if text in line), None)
                    or (self.process.poll() is not None and not self._reader.is_alive())
                ),
                WAIT,
            )
        assert isinstance(found, str), f"no {text!r} in: {self.lines}"
        return found

    def stop(self) -> int:
        """Stop the program and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT)

    def end(self) -> None:
        """End the program, whatever it is doing."""
        self.process.kill()
        self.process.wait(WAIT)
        self._reader.join(WAIT)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._said:
                self.lines.append(line.rstrip())
                self._said.notify_all()
        with self._said:
            self._said.notify_all()


@contextlib.contextmanager
def program(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[Program]:
    """A running program, ended whatever happens."""
    running_program = Program(arguments, environment)
    try:
        yield running_program
    finally:
        running_program.end()
