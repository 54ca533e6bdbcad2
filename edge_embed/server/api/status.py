"""What is asked of the server itself: alive, ready, metrics, models, documentation."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from edge_embed import __version__
from edge_embed.server.api.openai import ModelList, models
from edge_embed.server.api.tei import Info, info
from edge_embed.server.errors import Protocol, StatusError
from edge_embed.server.service import Service

__all__ = ["RESOURCES", "Resource"]


@dataclass(frozen=True)
class Resource:
    """A path that is read with GET."""

    path: str
    protocol: Protocol
    media_type: str
    answer: Any
    """The type of the answer; None for what is no JSON."""
    summary: str
    handler: Callable[[Service], Awaitable[bytes]]
    problems: Mapping[int, str]
    """Statuses besides 200 and 401, and when."""

    async def respond(self, service: Service) -> Response:
        """Answer a request.

        Raises:
            StatusError: the server is not ready, or a model cannot be loaded.
        """
        return Response(await self.handler(service), media_type=self.media_type)


async def _live(service: Service) -> bytes:
    return b"alive\n"


async def _ready(service: Service) -> bytes:
    if not service.ready:
        raise StatusError(503, "the model is being loaded, or the server is stopping")
    return b"ready\n"


async def _metrics(service: Service) -> bytes:
    return service.metrics.text()


async def _models(service: Service) -> bytes:
    return msgspec.json.encode(models(service.pool.names))


async def _info(service: Service) -> bytes:
    async with service.pool.use() as served:
        return msgspec.json.encode(info(service, served, __version__))


_NOT_READY = {503: "The model is not loaded, or the server is stopping."}

RESOURCES = [
    Resource("/live", "tei", "text/plain", None, "Is the process alive?", _live, {}),
    Resource("/ready", "tei", "text/plain", None, "Is it ready?", _ready, _NOT_READY),
    Resource("/health", "tei", "text/plain", None, "The same as /ready.", _ready, _NOT_READY),
    Resource("/metrics", "tei", CONTENT_TYPE_LATEST, None, "For Prometheus.", _metrics, {}),
    Resource(
        "/v1/models", "openai", "application/json", ModelList, "The models (OpenAI).", _models, {}
    ),
    Resource("/info", "tei", "application/json", Info, "The default model.", _info, _NOT_READY),
]
