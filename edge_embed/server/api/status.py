"""What is asked of the server itself: alive, ready, metrics, models."""

import asyncio
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST

from edge_embed import __version__
from edge_embed.server.api.ollama import TagList, Version, tags, version
from edge_embed.server.api.openai import ModelList, models
from edge_embed.server.api.tei import Info, info
from edge_embed.server.endpoint import Endpoint, Handler
from edge_embed.server.errors import StatusError
from edge_embed.server.request import Caller
from edge_embed.server.service import Service

__all__ = ["ENDPOINTS"]


async def _live(service: Service, _: None, caller: Caller) -> bytes:
    return b"alive\n"


async def _ready(service: Service, _: None, caller: Caller) -> bytes:
    if not service.ready:
        raise StatusError(503, "the model is being loaded, or the server is stopping")
    return b"ready\n"


async def _metrics(service: Service, _: None, caller: Caller) -> bytes:
    return service.metrics.text()


async def _models(service: Service, _: None, caller: Caller) -> ModelList:
    return models(await asyncio.to_thread(service.pool.offered))


async def _tags(service: Service, _: None, caller: Caller) -> TagList:
    return await asyncio.to_thread(tags, service)


async def _version(service: Service, _: None, caller: Caller) -> Version:
    return version()


async def _info(service: Service, _: None, caller: Caller) -> Info:
    async with service.pool.use() as served:
        return info(service, served, __version__)


_NOT_READY = {503: "The model is not loaded, or the server is stopping."}


def _text(
    path: str,
    handler: Handler,
    summary: str,
    media_type: str = "text/plain",
    **options: Any,  # noqa: ANN401
) -> Endpoint:
    return Endpoint(path, "tei", None, None, handler, summary, media_type=media_type, **options)


ENDPOINTS = [
    _text("/live", _live, "Is the process alive?", without_key=True),
    _text("/ready", _ready, "Is it ready?", problems=_NOT_READY),
    _text("/health", _ready, "The same as /ready.", problems=_NOT_READY),
    _text("/ping", _ready, "The same as /ready.", problems=_NOT_READY),
    _text("/metrics", _metrics, "For Prometheus.", CONTENT_TYPE_LATEST),
    Endpoint("/v1/models", "openai", None, ModelList, _models, "The models (OpenAI)."),
    Endpoint("/v3/models", "openai", None, ModelList, _models, "The same models."),
    Endpoint("/api/tags", "ollama", None, TagList, _tags, "The models (Ollama)."),
    Endpoint("/api/version", "ollama", None, Version, _version, "The version of this server."),
    Endpoint("/info", "tei", None, Info, _info, "The default model.", problems=_NOT_READY),
]
