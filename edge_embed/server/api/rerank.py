"""Texts read together: /rerank and /predict as text-embeddings-inference speaks them, /v1/rerank.

``/v1/rerank`` takes and gives what the clients of Cohere and Jina do. All need a pair model
(``serve --pair-model``).
"""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError
from edge_embed.runtime.pair_tokenizer import TokenizedPairs
from edge_embed.server.endpoint import Endpoint
from edge_embed.server.errors import StatusError
from edge_embed.server.request import Caller
from edge_embed.server.service import Service

__all__ = ["ENDPOINTS"]

Scores = npt.NDArray[np.float32]


class RerankRequest(msgspec.Struct):
    """A query, and texts to be ordered by how well they go with it."""

    query: str
    texts: list[str]
    raw_scores: bool = False
    """The model's own outputs, before any activation."""
    return_text: bool = False
    truncate: bool | None = None
    """Cut pairs over the model's limit, or refuse them; None is the server's way."""


class Rank(msgspec.Struct, omit_defaults=True):
    """A text of the ranking."""

    index: int
    score: float
    text: str | None = None


class PredictRequest(msgspec.Struct):
    """Pairs of texts to be judged: one pair, or several."""

    inputs: list[str | list[str]]
    raw_scores: bool = False
    truncate: bool | None = None


class Prediction(msgspec.Struct):
    """What the model says of a pair under one label."""

    score: float
    label: str


class Document(msgspec.Struct):
    """A document as some clients send it."""

    text: str


class V1RerankRequest(msgspec.Struct):
    """A query and documents, as Cohere's and Jina's clients send them."""

    query: str
    documents: list[Any]
    """Texts, or objects with a text."""
    model: str | None = None
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    return_documents: bool = False


class RankedDocument(msgspec.Struct, omit_defaults=True):
    """A document of the ranking."""

    index: int
    relevance_score: float
    document: Document | None = None


class RerankUsage(msgspec.Struct):
    """What was read."""

    total_tokens: int
    prompt_tokens: int


class V1RerankAnswer(msgspec.Struct):
    """Documents, best first."""

    id: str
    model: str
    results: list[RankedDocument]
    usage: RerankUsage


async def rerank(service: Service, request: RerankRequest, caller: Caller) -> list[Rank]:
    """Order texts by how well each goes with the query."""
    caller.add_texts(len(request.texts))
    pairs = [(request.query, text) for text in request.texts]
    scores = _one_output(
        service, await _scores(service, pairs, raw=request.raw_scores, cut=request.truncate)
    )
    return [
        Rank(int(i), float(scores[i]), request.texts[i] if request.return_text else None)
        for i in np.argsort(-scores, kind="stable")
    ]


async def predict(
    service: Service, request: PredictRequest, caller: Caller
) -> list[Prediction] | list[list[Prediction]]:
    """Judge pairs: a score for each label, best first."""
    single = len(request.inputs) == 2 and all(isinstance(text, str) for text in request.inputs)
    pairs: Sequence[Any] = [request.inputs] if single else request.inputs
    caller.add_texts(len(pairs))
    scores = await _scores(service, pairs, raw=request.raw_scores, cut=request.truncate)
    labels = service.require_pair_model().labels
    answers = [
        sorted(
            (Prediction(float(value), label) for value, label in zip(row, labels, strict=True)),
            key=lambda prediction: -prediction.score,
        )
        for row in scores
    ]
    return answers[0] if single else answers


async def v1_rerank(service: Service, request: V1RerankRequest, caller: Caller) -> V1RerankAnswer:
    """Order documents by how well each goes with the query."""
    texts = [_text(document, number) for number, document in enumerate(request.documents)]
    caller.add_texts(len(texts))
    scorer = service.require_pair_model()
    if request.model not in (None, scorer.name):
        raise StatusError(
            404, f"there is no pair model {request.model!r}; the server has {scorer.name!r}"
        )
    pairs = [(request.query, text) for text in texts]
    scores = _one_output(service, await _scores(service, pairs, raw=False, cut=True))
    results = [
        RankedDocument(
            int(i), float(scores[i]), Document(texts[i]) if request.return_documents else None
        )
        for i in np.argsort(-scores, kind="stable")[: request.top_n]
    ]
    tokens = await asyncio.to_thread(lambda: _tokens(scorer.tokenizer.pairs(pairs)))
    return V1RerankAnswer(str(uuid.uuid4()), scorer.name, results, RerankUsage(tokens, tokens))


async def _scores(service: Service, pairs: Sequence[Any], *, raw: bool, cut: bool | None) -> Scores:
    """Return float32 (pairs, labels)."""
    scorer = service.require_pair_model()
    truncate = service.auto_truncate if cut is None else cut

    def run() -> Scores:
        scores = scorer.predict(
            pairs,
            activation="identity" if raw else None,
            truncation="ignore" if truncate else "error",
        )
        return scores.reshape(len(pairs), len(scorer.labels))

    return await asyncio.to_thread(run)


def _one_output(service: Service, scores: Scores) -> Scores:
    if scores.shape[1] != 1:
        name = service.require_pair_model().name
        raise StatusError(
            424, f"{name} gives {scores.shape[1]} numbers a pair, so it cannot rank: use /predict"
        )
    return scores[:, 0]


def _text(document: object, number: int) -> str:
    text = document.get("text") if isinstance(document, dict) else document
    if not isinstance(text, str):
        raise InputError(f"document {number} is no text and has none: send a text, or {{text: …}}")
    return text


def _tokens(tokenized: TokenizedPairs) -> int:
    return sum(len(ids) for ids in tokenized.ids)


_QUERY = "How do I reset my password?"
_TEXTS = ["Choose 'forgot password' on the login page.", "We are open on Sundays."]

ENDPOINTS = [
    Endpoint(
        "/rerank",
        "tei",
        RerankRequest,
        list[Rank],
        rerank,
        "Order texts by how well each goes with a query.",
        {"query": _QUERY, "texts": _TEXTS},
    ),
    Endpoint(
        "/predict",
        "tei",
        PredictRequest,
        list[Prediction | list[Prediction]],
        predict,
        "Judge pairs of texts.",
        {"inputs": [[_QUERY, _TEXTS[0]], [_QUERY, _TEXTS[1]]]},
    ),
    Endpoint(
        "/v1/rerank",
        "openai",
        V1RerankRequest,
        V1RerankAnswer,
        v1_rerank,
        "Order documents by how well each goes with a query, for clients of Cohere and Jina.",
        {"query": _QUERY, "documents": _TEXTS, "top_n": 1},
    ),
]
