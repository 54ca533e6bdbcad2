"""The ASGI application: all paths, API keys, the limit of requests, errors and metrics."""

import asyncio
import json
import logging
import time
from collections.abc import Sequence

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_embed.errors import InputError
from edge_embed.server.api import ollama, openai, rerank, status, tasks, tei
from edge_embed.server.endpoint import Endpoint
from edge_embed.server.errors import Protocol, StatusError
from edge_embed.server.memory import MemoryReturn
from edge_embed.server.openapi import openapi_document, reference_page
from edge_embed.server.page import html_response, playground
from edge_embed.server.request import Caller, DisconnectedError
from edge_embed.server.service import Service

__all__ = ["ENDPOINTS", "create_app"]

_log = logging.getLogger("edge_embed.server")
_access = logging.getLogger("edge_embed.access")

# Makes a browser ask for a user name (any) and a password (the key).
_ASK_FOR_KEY = {"WWW-Authenticate": 'Basic realm="edge-embed", charset="UTF-8"'}

_FOR_ALL = frozenset({"/live", "/ready", "/health"})
_PART = 256 << 10  # bytes of an answer that are sent at a time
_MAX_LOGGED = 2000  # characters of an error

# Statuses that are counted as rejections, and their names in the metrics.
_REASONS = {401: "key", 413: "size", 429: "overload"}

ENDPOINTS = [
    *openai.ENDPOINTS,
    *tei.ENDPOINTS,
    *ollama.ENDPOINTS,
    *rerank.ENDPOINTS,
    *tasks.ENDPOINTS,
    *status.ENDPOINTS,
]

# The protocol of errors for paths that do not exist.
_PROTOCOL: Protocol = "openai"


def create_app(service: Service, *, page: bool = True, root_path: str = "") -> ASGIApp:
    """Return the ASGI application of a service.

    Args:
        service: The models; the caller starts and closes it.
        page: Serve the playground page at /.
        root_path: The path prefix at which a proxy serves it, such as ``/embed``; requests are
            accepted with and without it, as proxies may remove it.

    Raises:
        InputError: the prefix does not begin with a slash.
    """
    root_path = root_path.rstrip("/")
    if root_path and not root_path.startswith("/"):
        raise InputError(f"the root path {root_path!r} should begin with a slash, as /embed does")
    document = openapi_document(ENDPOINTS, root_path)
    schema = Response(json.dumps(document), media_type="application/json")
    pages = {"/openapi.json": schema, "/docs": html_response(reference_page(document))}
    running = Response("edge-embed is running", media_type="text/plain")  # for Ollama's clients
    pages["/"] = playground() if page else running
    endpoints = [*ENDPOINTS, *(_fixed(*pair) for pair in pages.items())]
    return Application(service, endpoints, root_path=root_path)


class Application:
    """The ASGI application: checks requests, calls endpoints, and turns errors into answers."""

    def __init__(
        self, service: Service, endpoints: Sequence[Endpoint], *, root_path: str = ""
    ) -> None:
        """Make an application of a service's endpoints; ``root_path`` as in :func:`create_app`."""
        self._service, self._root_path = service, root_path
        self._paths: dict[str, dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            self._paths.setdefault(endpoint.path, {})[endpoint.method] = endpoint
        self._at_work = 0
        self._memory = MemoryReturn()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        root = self._root_path
        if root and (scope["path"] == root or scope["path"].startswith(f"{root}/")):
            scope = {**scope, "path": scope["path"].removeprefix(root) or "/"}
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
        size = 0
        request, service = Request(scope, receive), self._service
        caller = Caller(request, service.limits, metrics, service.held)
        try:
            response = await self._answer(request, caller)
            size = len(response.body)
            await self._send(response, scope, receive, counted)
        finally:
            caller.sent()
            self._memory.after(size + caller.body_bytes)
            self._at_work -= 1
            metrics.in_flight.set(self._at_work)
            path = scope["path"] if scope["path"] in self._paths else "other"
            seconds = time.perf_counter() - started
            metrics.requests.labels(path, status).inc()
            metrics.seconds.labels(path).observe(seconds)
            if (reason := _REASONS.get(status)) is not None:
                metrics.rejected.labels(reason).inc()
            _access.info("%s %s %d %.1f ms", scope["method"], path, status, 1000 * seconds)

    async def _send(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        """Send an answer; a large one in parts and within the time limit of a request.

        Raises:
            TimeoutError: the client does not read it in time; the connection is closed.
        """
        body = memoryview(response.body)
        if len(body) <= _PART or scope["method"] == "HEAD":
            await response(scope, receive, send)
            return
        start = {"type": "http.response.start", "status": response.status_code}
        with anyio.fail_after(self._service.limits.request_seconds):
            await send({**start, "headers": response.raw_headers})
            for place in range(0, len(body), _PART):
                part = bytes(body[place : place + _PART])
                more = place + _PART < len(body)
                await send({"type": "http.response.body", "body": part, "more_body": more})

    async def _answer(self, request: Request, caller: Caller) -> Response:
        path = request.scope["path"]
        try:
            return await self._find(request).respond(self._service, caller)
        except DisconnectedError:
            return Response(status_code=499)
        except asyncio.CancelledError:  # the server stops, and its time to drain is over
            problem = StatusError(503, "the server has stopped")
        except BaseException as error:  # any error must become an answer
            # A panic of a library in Rust is not an Exception.
            if not (isinstance(error, Exception) or type(error).__name__ == "PanicException"):
                raise
            problem = StatusError.of(error)
            if problem.status == 500:
                trace = _log.isEnabledFor(logging.DEBUG)
                text = " ".join(str(error)[:_MAX_LOGGED].split())
                _log.error("%s failed: %s", path, text, exc_info=trace)
            _forget_frames(error)
        return Response(
            problem.body(self._protocol(path)),
            problem.status,
            problem.headers,
            media_type="application/json",
        )

    def _protocol(self, path: str) -> Protocol:
        """Return the protocol of a path's errors."""
        return next((e.protocol for e in self._paths.get(path, {}).values()), _PROTOCOL)

    def _find(self, request: Request) -> Endpoint:
        """Return the endpoint of a request, after all checks.

        Raises:
            StatusError: wrong host (403), no key (401), no such path (404) or method (405), or too
                many requests at a time (429).
        """
        path, method = request.scope["path"], request.scope["method"]
        service = self._service
        # With keys this is not needed, as another site's page does not know one. Health checks may
        # use any host name.
        if service.hosts is not None and service.keys is None and path not in _FOR_ALL:
            if not service.hosts.accept(request.headers.get("host")):
                raise StatusError(
                    403,
                    "the server does not answer to the name in the Host header: start it with "
                    "--allowed-host NAME, or with API keys",
                )
            if request.headers.get("sec-fetch-site") == "cross-site" and method != "GET":
                raise StatusError(403, "another site's page may not use this server")
        methods = self._paths.get(path, {})
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if service.keys is not None and not (endpoint and endpoint.without_key):
            given = request.headers.get("authorization", "").encode("latin-1")
            if not service.keys.accept(given):
                raise StatusError(
                    401,
                    "this server needs an API key: send the header 'Authorization: Bearer KEY'",
                    headers=_ASK_FOR_KEY,
                )
        if not methods:
            raise StatusError(404, "there is no such path; /docs lists them")
        if endpoint is None:
            raise StatusError(
                405,
                "the path takes another method; /docs lists them",
                headers={"Allow": ", ".join(methods)},
            )
        most = service.limits.requests
        if method == "POST" and self._at_work > most:
            raise StatusError(
                429, f"{most} requests are being answered already", headers={"Retry-After": "1"}
            )
        return endpoint


def _forget_frames(error: BaseException) -> None:
    """Let go of the frames that an error came through, with their bodies and texts.

    Frames refer to futures and errors that refer to them again; only a full garbage collection,
    which is rare, would free them.
    """
    waiting: list[BaseException | None] = [error]
    while waiting:
        if (each := waiting.pop()) is not None and each.__traceback__ is not None:
            each.__traceback__ = None
            waiting += [each.__cause__, each.__context__]


def _fixed(path: str, response: Response) -> Endpoint:
    """Return an endpoint with a constant answer."""

    async def answer(service: Service, _: None, caller: Caller) -> Response:
        return response

    return Endpoint(path, _PROTOCOL, None, None, answer, "")
