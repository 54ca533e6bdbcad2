"""Paths about the server itself: liveness, readiness, metrics, models."""

import asyncio
from typing import Any

import msgspec
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


class ReadyModel(msgspec.Struct):
    """A loaded model."""

    name: str
    variant: str
    fingerprint: str
    """A hash of the model's files; the same on every machine."""


class Ready(msgspec.Struct):
    """The version and the loaded models of a server that is ready."""

    status: str
    version: str
    models: list[ReadyModel]


async def _live(service: Service, _: None, caller: Caller) -> bytes:
    return b"alive\n"


async def _ready(service: Service, _: None, caller: Caller) -> Ready:
    if not service.ready:
        raise StatusError(503, "the model is being loaded, or the server is stopping")
    loaded = [
        ReadyModel(model.name, model.embedder.variant, model.fingerprint)
        for model in service.pool.loaded
    ]
    return Ready("ready", __version__, loaded)


async def _health(service: Service, _: None, caller: Caller) -> bytes:
    await _ready(service, None, caller)
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
    Endpoint(
        "/ready",
        "tei",
        None,
        Ready,
        _ready,
        "Is it ready, and with which version and models?",
        problems=_NOT_READY,
    ),
    _text("/health", _health, "Is it ready?", problems=_NOT_READY),
    _text("/ping", _health, "The same as /health.", problems=_NOT_READY),
    _text("/metrics", _metrics, "For Prometheus.", CONTENT_TYPE_LATEST),
    Endpoint("/v1/models", "openai", None, ModelList, _models, "The models (OpenAI)."),
    Endpoint("/v3/models", "openai", None, ModelList, _models, "The same models."),
    Endpoint("/api/tags", "ollama", None, TagList, _tags, "The models (Ollama)."),
    Endpoint("/api/version", "ollama", None, Version, _version, "The version of this server."),
    Endpoint("/info", "tei", None, Info, _info, "The default model.", problems=_NOT_READY),
]
