#!/usr/bin/env python3
"""A client of the server's socket file, with Python alone; as a program it waits and asks once.

tools/socket_client.py SOCKET [SECONDS TO WAIT]
"""

import http.client
import json
import socket
import sys
import time
from typing import Any


class Connection(http.client.HTTPConnection):
    """HTTP over a socket file."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket file."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(
    path: str,
    target: str,
    body: Any = None,  # noqa: ANN401
    key: str | None = None,
    claimed: int | None = None,
) -> tuple[int, bytes]:
    """Return status and body of an answer; a GET where there is no body to send.

    ``claimed`` bytes are announced instead of those that are sent.
    """
    connection = Connection(path)
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    if claimed is not None:
        headers["Content-Length"] = str(claimed)
    connection.request("GET" if data is None else "POST", target, data, headers)
    answer = connection.getresponse()
    status, content = answer.status, answer.read()
    connection.close()
    return status, content


def wait_until_ready(path: str, key: str | None = None, seconds: float = 60) -> float:
    """Return how long it took until the server was ready."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        try:
            if ask(path, "/ready", key=key)[0] == 200:
                return time.monotonic() - started
        except OSError:
            pass
        time.sleep(0.02)
    raise SystemExit(f"not ready within {seconds:g} s")


if __name__ == "__main__":
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60
    print(f"ready after {wait_until_ready(sys.argv[1], seconds=seconds):.1f} s")
    status, content = ask(sys.argv[1], "/v1/embeddings", {"input": ["Reset my password"]})
    print(f"status {status}, {len(content)} bytes")
    if status != 200:
        raise SystemExit(content.decode())
