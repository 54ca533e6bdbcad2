"""Ollama's protocol: /api/embed, and the other paths that its clients use.

Nothing is downloaded: ``/api/pull`` succeeds for a model of this server, and otherwise says how to
serve it. Vectors of ``/api/embed`` have unit length, as Ollama's do.
"""

import asyncio
import hashlib
import time
from datetime import datetime, timezone
from typing import Annotated, Any

import msgspec

from edge_embed import __version__
from edge_embed.model.card import ModelCard
from edge_embed.model.config import ModelConfig
from edge_embed.model.json_files import read_json
from edge_embed.server.api.openai import role_prompt_name
from edge_embed.server.endpoint import Endpoint, Matrix, Vector
from edge_embed.server.errors import StatusError
from edge_embed.server.request import Caller
from edge_embed.server.served_model import EmbedOptions, ModelSource
from edge_embed.server.service import Service

__all__ = ["ENDPOINTS", "TagList", "Version", "tags", "version"]


class EmbedRequest(msgspec.Struct):
    """Texts to embed."""

    model: str | None = None
    input: str | list[str] = msgspec.field(default_factory=list)
    truncate: bool = True
    """Truncate texts over the model's limit; otherwise they are refused."""
    dimensions: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """The number of leading dimensions to keep; 0 is all."""
    options: dict[str, Any] | None = None
    """Ignored."""
    keep_alive: str | int | float | None = None
    """Ignored: models stay loaded (see ``--model-memory``)."""


class EmbedAnswer(msgspec.Struct):
    """The vectors, in the order of the texts."""

    model: str
    embeddings: Matrix
    total_duration: int
    """Nanoseconds."""
    load_duration: int
    """Nanoseconds until the model was loaded."""
    prompt_eval_count: int
    """Tokens embedded."""


class EmbeddingsRequest(msgspec.Struct):
    """A text to embed, for the older path."""

    model: str | None = None
    prompt: str = ""
    options: dict[str, Any] | None = None
    keep_alive: str | int | float | None = None


class EmbeddingsAnswer(msgspec.Struct):
    """The text's vector, not normalized unless the model does."""

    embedding: Vector


class ModelRequest(msgspec.Struct):
    """The name of a model; older clients use the field ``name``."""

    model: str | None = None
    name: str | None = None
    verbose: bool | None = None
    insecure: bool | None = None
    stream: bool | None = None


class Details(msgspec.Struct):
    """How a model is stored."""

    parent_model: str
    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str


class Tag(msgspec.Struct):
    """A model."""

    name: str
    model: str
    modified_at: str
    size: int
    """Bytes of its weights."""
    digest: str
    details: Details


class TagList(msgspec.Struct):
    """The models of this server."""

    models: list[Tag]


class Shown(msgspec.Struct):
    """A description of a model."""

    modelfile: str
    parameters: str
    template: str
    license: str
    modified_at: str
    details: Details
    model_info: dict[str, Any]
    capabilities: list[str]


class Status(msgspec.Struct):
    """The result of a request."""

    status: str


class Version(msgspec.Struct):
    """The version of this server."""

    version: str


async def embed(service: Service, request: EmbedRequest, caller: Caller) -> EmbedAnswer:
    """Embed texts."""
    started = time.perf_counter_ns()
    texts = [request.input] if isinstance(request.input, str) else request.input
    async with service.pool.use(request.model) as served:
        loaded, name = time.perf_counter_ns(), request.model or served.name
        if not texts or texts == [""]:  # a request to load the model
            return EmbedAnswer(name, [], loaded - started, loaded - started, 0)
        options = EmbedOptions(
            prompt_name=role_prompt_name(service, served, request.model),
            truncation="ignore" if request.truncate else "error",
            dim=request.dimensions or None,
            normalize=True,
        )
        embedded = await served.embed(caller, texts, options)
        total = time.perf_counter_ns() - started
        return EmbedAnswer(name, embedded.vectors, total, loaded - started, embedded.tokens)


async def embeddings(
    service: Service, request: EmbeddingsRequest, caller: Caller
) -> EmbeddingsAnswer:
    """Embed a text."""
    async with service.pool.use(request.model) as served:
        if not request.prompt:
            return EmbeddingsAnswer([])
        options = EmbedOptions(prompt_name=role_prompt_name(service, served, request.model))
        embedded = await served.embed(caller, [request.prompt], options)
        return EmbeddingsAnswer(embedded.vectors[0])


async def show(service: Service, request: ModelRequest, caller: Caller) -> Shown:
    """Describe a model."""
    source = service.pool.source(service.pool.names.find(request.model or request.name).model)
    return await asyncio.to_thread(_shown, source)


async def pull(service: Service, request: ModelRequest, caller: Caller) -> Status:
    """Check that the server has a model.

    Raises:
        StatusError: it does not (404).
    """
    try:
        service.pool.names.find(request.model or request.name)
    except StatusError:
        raise StatusError(
            404,
            "this server downloads nothing: start it with --model NAME=MODEL, or "
            "--alias NAME=MODEL for one that it has; the models are: "
            + ", ".join(service.pool.names.all),
        ) from None
    return Status("success")


def tags(service: Service) -> TagList:
    """List the models under all of their names."""
    pool = service.pool
    return TagList([_tag(name, pool.source(named.model)) for name, named in pool.offered().items()])


def version() -> Version:
    """Return the version of this server."""
    return Version(__version__)


def _tag(name: str, source: ModelSource) -> Tag:
    config = ModelConfig.from_folder(source.folder)
    name = name if ":" in name else f"{name}:latest"
    digest = hashlib.sha256(repr(source.stamp()).encode()).hexdigest()
    return Tag(name, name, _modified(source), source.weights_bytes, digest, _details(config))


def _shown(source: ModelSource) -> Shown:
    config = ModelConfig.from_folder(source.folder)
    family = _family(config)
    return Shown(
        modelfile=f"FROM {source.name}\n",
        parameters="",
        template="{{ .Prompt }}",
        license=ModelCard.from_folder(source.folder).licence or "",
        modified_at=_modified(source),
        details=_details(config),
        model_info={
            "general.architecture": family,
            "general.basename": source.name,
            f"{family}.context_length": config.max_seq_length,
            f"{family}.embedding_length": config.dim,
        },
        capabilities=["embedding"],
    )


def _details(config: ModelConfig) -> Details:
    variant = next(iter(config.variants), "")
    family = _family(config)
    return Details("", "openvino", family, [family], "", variant.upper())


def _family(config: ModelConfig) -> str:
    return str(read_json(config.folder / "config.json", optional=True).get("model_type", "bert"))


def _modified(source: ModelSource) -> str:
    seconds = max(nanoseconds for _, nanoseconds, _ in source.stamp()) / 1e9
    # With a wrong clock a file may have a year that datetime does not support.
    seconds = min(max(seconds, 0.0), _YEAR_9999)
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


_YEAR_9999 = 253_370_764_800.0
_TEXTS = ["Reset my password", "Opening hours"]


ENDPOINTS = [
    Endpoint(
        "/api/embed",
        "ollama",
        EmbedRequest,
        EmbedAnswer,
        embed,
        "Embed texts (Ollama).",
        {"input": _TEXTS},
    ),
    Endpoint(
        "/api/embeddings",
        "ollama",
        EmbeddingsRequest,
        EmbeddingsAnswer,
        embeddings,
        "Embed a text (Ollama's older path).",
        {"prompt": _TEXTS[0]},
    ),
    Endpoint(
        "/api/show", "ollama", ModelRequest, Shown, show, "Describe a model.", {"verbose": False}
    ),
    Endpoint(
        "/api/pull", "ollama", ModelRequest, Status, pull, "Is a model here?", {"stream": False}
    ),
]
