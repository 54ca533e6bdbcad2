"""Run the server: its socket, signals, start and stop.

SIGTERM and Ctrl-C stop it: it accepts no more connections, answers the requests that it has, and
exits when they are done or after a time limit. SIGHUP reloads changed models, keys and the
certificate.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from edge_embed.errors import EdgeEmbedError, InputError
from edge_embed.server.connection import connection_class
from edge_embed.server.limits import within_descriptors
from edge_embed.server.service import Service

__all__ = ["Listen", "serve"]

_log = logging.getLogger("edge_embed.server")

# The first file descriptor that systemd passes (sd_listen_fds(3)).
_FIRST_HANDED_OVER = 3

# Longer than clients keep idle connections, so that the client closes them: if the server did, a
# request might just be on its way.
_KEEP_ALIVE_SECONDS = 75

_COLLECTION_SECONDS = 600

# From the end of the drain to an exit in any case; a unit's TimeoutStopSec is above their sum.
_END_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Listen:
    """The address of a server, and its certificate."""

    host: str = "127.0.0.1"
    port: int = 8080
    unix_socket: Path | None = None
    """A Unix socket instead of host and port, accessible to this user and group."""
    certificate: Path | None = None
    """For TLS: a PEM file with the certificate chain."""
    private_key: Path | None = None
    """For TLS: a PEM file with the key; None if it is in ``certificate``."""

    def open(self) -> socket.socket:
        """Return a listening socket; it is the one that systemd has opened, if there is one.

        Raises:
            InputError: the address is in use or not available.
        """
        if os.environ.get("LISTEN_PID") == str(os.getpid()):
            return socket.socket(fileno=_FIRST_HANDED_OVER)
        try:
            if self.unix_socket is not None:
                return _unix_socket(self.unix_socket)
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            return socket.create_server((self.host, self.port), family=family, backlog=2048)
        except OSError as error:
            place = self.unix_socket or f"{self.host}:{self.port}"
            raise InputError(
                f"cannot listen at {place}: {error.strerror or error}; choose another with --host "
                "and --port, or --unix-socket"
            ) from error

    def load_certificate(self, context: ssl.SSLContext) -> None:
        """Load the certificate into a TLS context.

        Raises:
            InputError: it cannot be read, or the key does not belong to it.
        """
        assert self.certificate is not None  # noqa: S101
        try:
            context.load_cert_chain(self.certificate, self.private_key)
        except OSError as error:  # ssl.SSLError too
            raise InputError(f"cannot use the certificate {self.certificate}: {error}") from error


def serve(
    app: ASGIApp,
    service: Service,
    listen: Listen,
    *,
    reload: Callable[[], None] | None = None,
) -> None:
    """Serve until a signal stops it.

    Args:
        app: The application of :func:`edge_embed.server.app.create_app`.
        service: Its service.
        listen: The address.
        reload: Called at SIGHUP, before models and certificate are reloaded.

    Raises:
        EdgeEmbedError: the address is in use, or the first model cannot be loaded.
    """
    listener = listen.open()
    own = None if listen.unix_socket is None else _inode(listen.unix_socket)

    def leave() -> None:
        if listen.unix_socket is not None:
            _remove_own(listen.unix_socket, own)

    exiting = _exit_after(service.limits.drain_seconds + _END_SECONDS, leave)
    limits = within_descriptors(service.limits)
    if limits.connections < service.limits.connections:
        _log.warning(
            "at most %d connections: the system allows this process no more open files (ulimit -n)",
            limits.connections,
        )
    config = uvicorn.Config(
        app,
        http=connection_class(limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(service.limits.drain_seconds)),
        ssl_certfile=listen.certificate,
        ssl_keyfile=listen.private_key,
    )
    if listen.certificate is not None:
        listen.load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    config.load()
    # uvicorn's messages about single clients are of no use to an operator.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    try:
        asyncio.run(_run(_Server(config), service, listen, listener, reload, exiting))
    finally:
        exiting.cancel()
        leave()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: :func:`_run` handles signals, and the process exits with status 0."""
        yield


async def _run(
    server: _Server,
    service: Service,
    listen: Listen,
    listener: socket.socket,
    reload: Callable[[], None] | None,
    exiting: threading.Timer,
) -> None:
    def stop() -> None:
        if not service.stopping:
            _log.info("stopping: requests at work are answered")
            exiting.start()
        service.stopping = True
        server.should_exit = True

    def load_anew() -> None:
        for part in (reload, load_certificate):
            try:
                if part is not None:
                    part()
            except EdgeEmbedError as error:
                _log.error("nothing changed: %s", error)
        reloads.add(task := asyncio.create_task(service.pool.reload()))
        task.add_done_callback(reloads.discard)

    def load_certificate() -> None:
        context = server.config.ssl
        if context is not None:
            # Tested with a new context first: an error would leave this one half changed.
            listen.load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
            listen.load_certificate(context)
            _log.info("the certificate is loaded anew")

    reloads: set[asyncio.Task[None]] = set()
    collecting = asyncio.create_task(_collect_rarely())
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_say_once())
    if listen.certificate is not None:
        # With uvicorn it is asyncio's 60 seconds, for which a client could stay silent.
        seconds = service.limits.client_seconds
        loop.create_server = partial(loop.create_server, ssl_handshake_timeout=seconds)  # type: ignore[method-assign]
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, load_anew)
    starting = asyncio.create_task(service.start())
    starting.add_done_callback(lambda task: _started(task, server, listener))
    await server.serve(sockets=[listener])
    for task in (starting, collecting):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await service.close()


def _exit_after(seconds: float, leave: Callable[[], None]) -> threading.Timer:
    """Return what exits in time even if a thread does not end, such as one that loads a model."""

    def exit_now() -> None:
        _log.warning("stopped, though a model was being loaded or a request was at work")
        leave()
        os._exit(0)

    timer = threading.Timer(seconds, exit_now)
    timer.daemon = True
    return timer


async def _collect_rarely() -> None:
    """Run full garbage collections only every ten minutes.

    Under overload there are thousands of waiting requests, and each full collection would stop all
    answers for tens of milliseconds. Young objects are collected as usual.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], 1_000_000)
    while True:
        await asyncio.sleep(_COLLECTION_SECONDS)
        gc.collect()


def _started(task: "asyncio.Task[None]", server: _Server, listener: socket.socket) -> None:
    if task.cancelled() or task.exception() is not None:
        server.should_exit = True
    elif listener.fileno() >= 0:
        _log.info("ready at %s", _address(listener))


def _address(listener: socket.socket) -> str:
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return str(name)
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"{host}:{name[1]}"


def _say_once() -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Return a handler of the event loop's errors: one line each, equal ones once a minute.

    Otherwise a system without free file descriptors would fill the log with tracebacks.
    """
    said: dict[str, float] = {}

    def say(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        text = f"{context.get('message', 'error')}: {error}"[:500]
        if said.get(text, -60.0) + 60 <= loop.time():
            said.clear()
            said[text] = loop.time()
            _log.error("%s", " ".join(text.split()))

    return say


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _remove_own(path: Path, own: tuple[int, int] | None) -> None:
    """Remove a socket file unless another server has replaced it."""
    if own is not None and _inode(path) == own:
        path.unlink(missing_ok=True)


def _unix_socket(path: Path) -> socket.socket:
    """Bind a Unix socket for user and group; a file without a listening server is replaced."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise InputError(f"{path} is there and is no socket: choose another path")
        with socket.socket(socket.AF_UNIX) as probe, suppress(ConnectionRefusedError):
            probe.connect(str(path))
            raise InputError(f"another server listens at {path}: stop it or choose another path")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o117)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(2048)
    return listener
