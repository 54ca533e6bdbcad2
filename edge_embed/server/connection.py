"""Connections with time limits, so that slow or silent clients cannot hold them.

uvicorn's own timer runs between requests only: a client that sends a request byte by byte, or
nothing at all, would keep a connection for ever.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from edge_embed.server.limits import Limits
from edge_embed.server.upgrade import HeadFilter

__all__ = ["JoiningTransport", "connection_class"]

# The most bytes of request line and headers; keys and cookies take a few hundred.
_MAX_HEADER_BYTES = 32 << 10


def connection_class(limits: Limits) -> type[asyncio.Protocol]:
    """Return a protocol class for uvicorn that enforces these limits."""

    class LimitedConnection(_Connection):
        pass

    LimitedConnection.limits = limits
    return LimitedConnection


class _Connection(HttpToolsProtocol):
    limits: Limits
    _timer: asyncio.TimerHandle | None = None
    _in_headers = True
    _header_bytes = 0
    _head: HeadFilter | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._head = HeadFilter()
        super().connection_made(JoiningTransport(transport, self.loop))  # type: ignore[arg-type]
        if len(self.connections) > self.limits.connections:
            transport.close()
            return
        raw: Any = transport.get_extra_info("socket")
        if raw is not None and raw.family != socket.AF_UNIX:
            # asyncio sets this only on sockets that it creates. Without it the last part of an
            # answer waits up to 40 ms for the client's acknowledgement of the first.
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: also for clients that do not read
                milliseconds = int(1000 * self.limits.request_seconds)
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        self._wait(self.limits.client_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_headers:
            self._header_bytes += len(data)
        if self._head is not None:
            data = self._head.feed(data)
            if not self._head.held:
                self._head = None
        if data:
            super().data_received(data)
        if self._in_headers and self._header_bytes > _MAX_HEADER_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers, self._header_bytes = True, 0
        self._wait(self.limits.client_seconds)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_headers = False
        # A second more than the limit of the body, whose excess gets an error answer.
        self._wait(self.limits.client_seconds + 1)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._head = HeadFilter()  # for the connection's next request
        self._wait(None)

    def _wait(self, seconds: float | None) -> None:
        """Close the connection after ``seconds``, unless called again; None never."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            close: Callable[[], None] = self.transport.close
            self._timer = self.loop.call_later(seconds, close)


class JoiningTransport:
    """Sends an answer's head and body in one system call.

    uvicorn writes them one after the other, which wakes the client twice.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held = b""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Hold the first part until the second is written, or the event loop is idle."""
        if self._held:
            data, self._held = self._held + data, b""
            self._transport.write(data)
        elif data:
            self._held = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Send the held part, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            self.write(b"")
