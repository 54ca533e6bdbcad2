"""The first that a request meets: its key, whether there is room for it, and the counting."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_embed.server.endpoint import error_response
from edge_embed.server.problems import Protocol, StatusError
from edge_embed.server.service import Service

__all__ = ["Door", "protocol_of"]

_access = logging.getLogger("edge_embed.access")

# Tells a browser to ask for a password: any name, and the key.
_ASK_FOR_KEY = {"WWW-Authenticate": 'Basic realm="edge-embed", charset="UTF-8"'}


class Door:
    """Refuses before any work is done."""

    def __init__(self, app: ASGIApp, service: Service, paths: frozenset[str]) -> None:
        """Stand before ``app``, whose paths are ``paths``; others share one line in the metrics."""
        self._app, self._service, self._paths = app, service, paths
        self._at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 499

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._at_work += 1
        metrics = self._service.metrics
        metrics.in_flight.set(self._at_work)
        try:
            problem = self._problem(scope)
            app = self._app if problem is None else error_response(problem, protocol_of(scope))
            await app(scope, receive, counted)
        finally:
            self._at_work -= 1
            metrics.in_flight.set(self._at_work)
            path = scope["path"] if scope["path"] in self._paths else "other"
            seconds = time.perf_counter() - started
            metrics.requests.labels(path, status).inc()
            metrics.seconds.labels(path).observe(seconds)
            if (reason := _REASONS.get(status)) is not None:
                metrics.rejected.labels(reason).inc()
            _access.info("%s %s %d %.1f ms", scope["method"], path, status, 1000 * seconds)

    def _problem(self, scope: Scope) -> StatusError | None:
        if scope["path"] == "/live":
            return None
        keys = self._service.keys
        if keys is not None and not keys.accept(_header(scope, b"authorization")):
            return StatusError(
                401,
                "this server needs an API key: send the header 'Authorization: Bearer KEY'",
                headers=_ASK_FOR_KEY,
            )
        most = self._service.limits.requests
        if scope["method"] == "POST" and self._at_work > most:
            return StatusError(
                429, f"{most} requests are being answered already", headers={"Retry-After": "1"}
            )
        return None


_REASONS = {401: "key", 413: "size", 429: "overload"}


def protocol_of(scope: Scope) -> Protocol:
    """Return whose error bodies a path has."""
    return "openai" if scope["path"].startswith("/v1/") else "tei"


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")
