"""What a server has to bear besides requests: odd clients, reloads, other models, another index."""

import json
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tools.attack.requests import JSON
from tools.attack.server import Server

__all__ = ["Disturbances"]

_RAW = [
    b"\0" * 1000,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS client
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /live HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
    # Two lengths: the second request must not be read as one of its own.
    b"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
    b"POST /embed HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\nx",
    b"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
]
_HEAD = b"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class Disturbances:
    """The kinds, for one server.

    Args:
        server: The server.
        folder: A model folder that it serves; the time of its files is changed.
        index: The index that it serves; it is replaced by a copy of ``spare``.
        spare: Another file with an index.
        models: Names of models that do not fit into the server's memory together; none is fine.
    """

    def __init__(
        self, server: Server, folder: Path, index: Path, spare: Path, models: list[str]
    ) -> None:
        self._server, self._folder = server, folder
        self._index, self._spare, self._models = index, spare, models
        self._kinds: dict[str, Callable[[random.Random], None]] = {
            "raw bytes": self._raw,
            "300 idle connections": self._idle,
            "a byte at a time": self._slow,
            "a body that does not come": self._no_body,
            "a client that goes away": self._gone,
            "a client that does not read": self._deaf,
            "reload of a changed model": self._reload,
            "another index": self._other_index,
        }
        if models:
            self._kinds["another model"] = self._other_model

    def disturb(self, chance: random.Random) -> str:
        """Do one at random and return its kind."""
        kind = chance.choice(list(self._kinds))
        with suppress(OSError, HTTPException):  # closed by the server, as it may
            self._kinds[kind](chance)
        return kind

    def _raw(self, chance: random.Random) -> None:
        with self._connection() as connection:
            connection.sendall(chance.choice(_RAW))
            connection.recv(1000)

    def _idle(self, chance: random.Random) -> None:
        connections = [socket.create_connection(self._address) for _ in range(300)]
        time.sleep(chance.uniform(1, 5))
        for connection in connections:
            connection.close()

    def _slow(self, chance: random.Random) -> None:
        with self._connection() as connection:
            for number in range(chance.randrange(5, 40)):
                connection.sendall(_HEAD[number : number + 1])
                time.sleep(0.5)

    def _no_body(self, chance: random.Random) -> None:
        with self._connection() as connection:
            connection.sendall(_HEAD + b"Content-Length: 8000000\r\n\r\n" + b"[" * 100_000)
            time.sleep(chance.uniform(1, 15))

    def _gone(self, chance: random.Random) -> None:
        words = " ".join(f"w{chance.randrange(10_000)}" for _ in range(1000))
        for _ in range(20):
            body = json.dumps({"query": words, "k": 1000, "hybrid": True}).encode()
            with self._connection() as connection:
                connection.sendall(
                    _HEAD.replace(b"/embed", b"/v1/search")
                    + b"Content-Length: %d\r\n\r\n" % len(body)
                    + body
                )

    def _deaf(self, chance: random.Random) -> None:
        body = json.dumps({"inputs": ["word " * 100] * 200}).encode()
        with self._connection() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(_HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            time.sleep(chance.uniform(1, 15))

    def _reload(self, _: random.Random) -> None:
        for file in self._folder.rglob("*.json"):
            os.utime(file)
        self._server.process.send_signal(signal.SIGHUP)

    def _other_model(self, chance: random.Random) -> None:
        connection = HTTPConnection(*self._address, timeout=60)
        body = json.dumps({"model": chance.choice(self._models), "input": "word"})
        connection.request("POST", "/v1/embeddings", body, JSON)
        connection.getresponse().read()
        connection.close()

    def _other_index(self, _: random.Random) -> None:
        copy = self._index.with_name("new.index")
        shutil.copyfile(self._spare, copy)
        copy.replace(self._index)

    @property
    def _address(self) -> tuple[str, int]:
        return "127.0.0.1", self._server.port

    @contextmanager
    def _connection(self) -> Iterator[socket.socket]:
        with socket.create_connection(self._address, timeout=20) as connection:
            yield connection
