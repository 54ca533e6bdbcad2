"""text-embeddings-inference's protocol, for the default model: /embed and related paths."""

from dataclasses import replace
from typing import Annotated, Literal

import msgspec

from edge_embed.runtime.row_widths import TOKEN_BUDGET
from edge_embed.runtime.tokenized_texts import TruncationSide
from edge_embed.server.endpoint import (
    INPUTS_SCHEMA,
    Endpoint,
    Inputs,
    Matrix,
    Vector,
    read_inputs,
)
from edge_embed.server.request import Caller
from edge_embed.server.served_model import EmbedOptions, ServedModel
from edge_embed.server.service import Service

__all__ = ["ENDPOINTS", "Info", "info"]

# Estimated bytes of a token in an answer.
_TOKEN_BYTES = 96

Direction = Literal["Left", "Right", "left", "right"]


class EmbedRequest(msgspec.Struct):
    """Texts to embed."""

    inputs: Annotated[Inputs, msgspec.Meta(extra_json_schema=INPUTS_SCHEMA)]
    normalize: bool = True
    truncate: bool | None = None
    """Truncate texts over the model's limit, or refuse them; None follows ``--auto-truncate``."""
    truncation_direction: Direction | None = None
    prompt_name: str | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1)] | None = None


class EmbedAllRequest(msgspec.Struct):
    """Texts for token states."""

    inputs: Annotated[Inputs, msgspec.Meta(extra_json_schema=INPUTS_SCHEMA)]
    truncate: bool | None = None
    truncation_direction: Direction | None = None
    prompt_name: str | None = None


class SimilarityInputs(msgspec.Struct):
    """A text, and texts to compare it with."""

    source_sentence: str
    sentences: list[str]


class SimilarityParameters(msgspec.Struct):
    """Options of tokenization."""

    truncate: bool | None = None
    truncation_direction: Direction | None = None
    prompt_name: str | None = None


class SimilarityRequest(msgspec.Struct):
    """A text and those that it is compared with."""

    inputs: SimilarityInputs
    parameters: SimilarityParameters | None = None


class TokenizeRequest(msgspec.Struct):
    """Texts to tokenize."""

    inputs: str | list[str]
    add_special_tokens: bool = True
    prompt_name: str | None = None


class Token(msgspec.Struct):
    """A token, and its place in the text."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class DecodeRequest(msgspec.Struct):
    """Token ids to decode."""

    ids: list[int | list[int]]
    skip_special_tokens: bool = True


class Info(msgspec.Struct):
    """The model, and the server's limits."""

    model_id: str
    model_sha: str | None
    model_dtype: str
    model_type: dict[str, dict[str, str]]
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int
    max_batch_requests: int | None
    max_client_batch_size: int
    auto_truncate: bool
    tokenization_workers: int
    version: str


async def embed(service: Service, request: EmbedRequest, caller: Caller) -> object:
    """Embed texts."""
    async with service.pool.use() as served:
        options = replace(
            _options(service, request), dim=request.dimensions, normalize=request.normalize
        )
        return (await served.embed(caller, read_inputs(request.inputs), options)).vectors


async def embed_all(service: Service, request: EmbedAllRequest, caller: Caller) -> object:
    """Return the state of each token of each text, special tokens included."""
    async with service.pool.use() as served:
        texts = read_inputs(request.inputs)
        embedded = await served.token_states(caller, texts, _options(service, request))
        return list(embedded.vectors)


async def similarity(service: Service, request: SimilarityRequest, caller: Caller) -> object:
    """Compare a text with others: by cosine, or the measure that the model states."""
    options = _options(service, request.parameters or SimilarityParameters())
    async with service.pool.use() as served:
        texts = [request.inputs.source_sentence, *request.inputs.sentences]
        vectors = (await served.embed(caller, texts, options)).vectors
        return served.embedder.similarity(vectors[:1], vectors[1:])[0]


async def tokenize(service: Service, request: TokenizeRequest, caller: Caller) -> list[list[Token]]:
    """Return the tokens of texts, without truncation."""
    texts = [request.inputs] if isinstance(request.inputs, str) else request.inputs
    caller.add_texts(len(texts))
    async with service.pool.use() as served:
        prompt = "" if request.prompt_name is None else served.prompt(request.prompt_name)
        texts = [prompt + text for text in texts]
        # There may be as many tokens as characters.
        caller.check_answer(_TOKEN_BYTES * sum(map(len, texts)), "the tokens of the texts")
        special = request.add_special_tokens
        return await caller.run("long", lambda: _tokens(served, texts, special))


async def decode(service: Service, request: DecodeRequest, caller: Caller) -> list[str]:
    """Return the text of token ids."""
    lists = read_inputs(request.ids)  # type: ignore[arg-type]
    caller.add_texts(len(lists))
    async with service.pool.use() as served:
        tokenizer = served.embedder.tokenizer
        skip = request.skip_special_tokens
        return await caller.run(
            "long",
            lambda: tokenizer.decode(lists, skip_special_tokens=skip),  # type: ignore[arg-type]
        )


def info(service: Service, served: ServedModel, version: str) -> Info:
    """Describe the default model."""
    config, limits = served.embedder.config, service.limits
    return Info(
        model_id=served.name,
        model_sha=None,
        model_dtype=served.embedder.variant,
        model_type={"embedding": {"pooling": "+".join(config.pooling)}},
        max_concurrent_requests=limits.requests,
        max_input_length=config.max_seq_length,
        max_batch_tokens=TOKEN_BUDGET,
        max_batch_requests=None,
        max_client_batch_size=limits.inputs,
        auto_truncate=service.auto_truncate,
        tokenization_workers=1,
        version=version,
    )


def _options(
    service: Service, request: EmbedRequest | EmbedAllRequest | SimilarityParameters
) -> EmbedOptions:
    truncate = service.auto_truncate if request.truncate is None else request.truncate
    direction = request.truncation_direction
    side: TruncationSide = "left" if direction in ("Left", "left") else "right"
    return EmbedOptions(
        prompt_name=request.prompt_name,
        truncation="ignore" if truncate else "error",
        truncation_side=None if direction is None else side,
    )


def _tokens(served: ServedModel, texts: list[str], special_tokens: bool) -> list[list[Token]]:
    pieces = served.embedder.tokenizer.pieces(texts, special_tokens=special_tokens)
    return [[Token(p.id, p.text, p.special, p.start, p.stop) for p in text] for text in pieces]


_TEXTS = ["Reset my password", "Opening hours"]

ENDPOINTS = [
    Endpoint("/embed", "tei", EmbedRequest, Matrix, embed, "Embed texts.", {"inputs": _TEXTS}),
    Endpoint("/", "tei", EmbedRequest, Matrix, embed, "The same as /embed.", {"inputs": _TEXTS}),
    Endpoint(
        "/embed_all",
        "tei",
        EmbedAllRequest,
        list[Matrix],
        embed_all,
        "The state of each token.",
        {"inputs": "Reset my password"},
    ),
    Endpoint(
        "/similarity",
        "tei",
        SimilarityRequest,
        Vector,
        similarity,
        "Compare a text with others: cosines.",
        {"inputs": {"source_sentence": "Reset my password", "sentences": _TEXTS}},
    ),
    Endpoint(
        "/tokenize",
        "tei",
        TokenizeRequest,
        list[list[Token]],
        tokenize,
        "The tokens of whole texts.",
        {"inputs": _TEXTS},
    ),
    Endpoint(
        "/decode",
        "tei",
        DecodeRequest,
        list[str],
        decode,
        "The text of token ids.",
        {"ids": [[101, 102]]},
    ),
]
