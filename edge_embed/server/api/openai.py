"""OpenAI's protocol: /v1/embeddings and /v1/models."""

import base64
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge_embed.server.endpoint import INPUTS_SCHEMA, Endpoint, Inputs, read_inputs
from edge_embed.server.names import ROLE_PROMPTS
from edge_embed.server.request import Caller
from edge_embed.server.served_model import Embedded, EmbedOptions, ServedModel
from edge_embed.server.service import Service

__all__ = ["ENDPOINTS", "ModelList", "Usage", "models", "role_prompt_name"]


_EITHER_FORMAT = {
    "anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "string"}],
}


class Usage(msgspec.Struct):
    """Numbers of tokens and truncated texts of a request."""

    prompt_tokens: int
    """Tokens embedded, after truncation."""
    total_tokens: int
    truncated_texts: int
    """Texts over the model's limit, which were truncated."""

    @classmethod
    def of(cls, *parts: Embedded) -> "Usage":
        """Return the sum over ``parts``."""
        tokens = sum(part.tokens for part in parts)
        return cls(tokens, tokens, sum(part.truncated for part in parts))


class EmbeddingsRequest(msgspec.Struct):
    """Texts to embed."""

    input: Annotated[Inputs, msgspec.Meta(extra_json_schema=INPUTS_SCHEMA)]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1)] | None = None
    user: str | None = None
    prompt_name: str | None = None
    """Name of one of the model's prompts; not in OpenAI's protocol."""
    truncate: bool = True
    """Truncate texts over the model's limit (counted in usage), or refuse them; not in OpenAI's
    protocol."""


class EmbeddingObject(msgspec.Struct):
    """The vector of one text."""

    index: int
    embedding: Annotated[Any, msgspec.Meta(extra_json_schema=_EITHER_FORMAT)]
    """Numbers, or float32 in little-endian order as base64."""
    object: Literal["embedding"] = "embedding"


class EmbeddingsAnswer(msgspec.Struct):
    """The vectors, in the order of the texts."""

    data: list[EmbeddingObject]
    model: str
    usage: Usage
    object: Literal["list"] = "list"


class ModelObject(msgspec.Struct):
    """A model."""

    id: str
    created: int = 0
    owned_by: str = "edge-embed"
    object: Literal["model"] = "model"


class ModelList(msgspec.Struct):
    """The models of this server."""

    data: list[ModelObject]
    object: Literal["list"] = "list"


async def embeddings(
    service: Service, request: EmbeddingsRequest, caller: Caller
) -> EmbeddingsAnswer:
    """Embed texts."""
    async with service.pool.use(request.model) as served:
        options = EmbedOptions(
            prompt_name=request.prompt_name or role_prompt_name(service, served, request.model),
            truncation="ignore" if request.truncate else "error",
            dim=request.dimensions,
            # Truncated unit vectors are normalized again; others are as the model gives them.
            normalize=request.dimensions is not None and served.embedder.config.normalize,
        )
        embedded = await served.embed(caller, read_inputs(request.input), options)
        vectors = embedded.vectors
        rows = _base64(vectors) if request.encoding_format == "base64" else list(vectors)
        data = [EmbeddingObject(number, row) for number, row in enumerate(rows)]
        return EmbeddingsAnswer(data, served.name, Usage.of(embedded))


def role_prompt_name(service: Service, served: ServedModel, name: str | None) -> str | None:
    """Return the name of the prompt for a model name with a role, as ``NAME:query``; or None."""
    role = service.pool.names.find(name).role
    return None if role is None else served.embedder.role_prompt(*ROLE_PROMPTS[role])


def models(names: Iterable[str]) -> ModelList:
    """List the models."""
    return ModelList([ModelObject(name) for name in names])


def _base64(vectors: npt.NDArray[np.float32]) -> list[str]:
    little = np.ascontiguousarray(vectors, "<f4")
    return [base64.b64encode(vector.tobytes()).decode() for vector in little]


ENDPOINTS = [
    Endpoint(
        path,
        "openai",
        EmbeddingsRequest,
        EmbeddingsAnswer,
        embeddings,
        summary,
        {"input": ["Reset my password", "Opening hours"], "encoding_format": "float"},
    )
    for path, summary in {
        "/v1/embeddings": "Embed texts (OpenAI).",
        "/embeddings": "The same, where text-embeddings-inference has it.",
        "/v3/embeddings": "The same, where OpenVINO Model Server has it.",
    }.items()
]
