"""Reranking and pair scores: text-embeddings-inference's /rerank and /predict, and /v1/rerank.

``/v1/rerank`` and ``/v2/rerank`` are for the clients of Cohere and Jina. All need a pair model
(``serve --pair-model``).
"""

import uuid
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from edge_embed.errors import InputError
from edge_embed.server.endpoint import Endpoint
from edge_embed.server.errors import StatusError
from edge_embed.server.request import Caller
from edge_embed.server.service import Service

__all__ = ["ENDPOINTS"]


class RerankRequest(msgspec.Struct):
    """A query, and texts to rank by the pair model's score."""

    query: str
    texts: list[str]
    raw_scores: bool = False
    """Return logits instead of scores."""
    return_text: bool = False
    truncate: bool | None = None
    """Truncate pairs over the model's limit, or refuse them; None follows ``--auto-truncate``."""


class Rank(msgspec.Struct, omit_defaults=True):
    """A text of the ranking."""

    index: int
    score: float
    text: str | None = None


class PredictRequest(msgspec.Struct):
    """A pair of texts to score, or several."""

    inputs: list[str | list[str]]
    raw_scores: bool = False
    truncate: bool | None = None


class Prediction(msgspec.Struct):
    """The score of a pair for one label."""

    score: float
    label: str


class Document(msgspec.Struct):
    """A document as an object."""

    text: str


class V1RerankRequest(msgspec.Struct):
    """A query and documents, as Cohere's and Jina's clients send them."""

    query: str
    documents: list[Any]
    """Texts, or objects with the field ``text``."""
    model: str | None = None
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    return_documents: bool = False


class RankedDocument(msgspec.Struct, omit_defaults=True):
    """A document of the ranking."""

    index: int
    relevance_score: float
    document: Document | None = None


class RerankUsage(msgspec.Struct):
    """The numbers of tokens."""

    total_tokens: int
    prompt_tokens: int


class V1RerankAnswer(msgspec.Struct):
    """Ranked documents, best first."""

    id: str
    model: str
    results: list[RankedDocument]
    usage: RerankUsage


async def rerank(service: Service, request: RerankRequest, caller: Caller) -> list[Rank]:
    """Rank texts by their score with the query."""
    model = service.require_pairs(one_score=True)
    pairs = [(request.query, text) for text in request.texts]
    scored = await model.score(
        caller, pairs, raw=request.raw_scores, cut=_cut(service, request.truncate)
    )
    scores = scored.scores[:, 0]
    return [
        Rank(int(i), float(scores[i]), request.texts[i] if request.return_text else None)
        for i in np.argsort(-scores, kind="stable")
    ]


async def predict(
    service: Service, request: PredictRequest, caller: Caller
) -> list[Prediction] | list[list[Prediction]]:
    """Score pairs: a score for each label, highest first."""
    model = service.require_pairs()
    single = len(request.inputs) == 2 and all(isinstance(text, str) for text in request.inputs)
    pairs: Sequence[Any] = [request.inputs] if single else request.inputs
    scored = await model.score(
        caller, pairs, raw=request.raw_scores, cut=_cut(service, request.truncate)
    )
    labels = model.scorer.labels
    answers = [
        sorted(
            (Prediction(float(value), label) for value, label in zip(row, labels, strict=True)),
            key=lambda prediction: -prediction.score,
        )
        for row in scored.scores
    ]
    return answers[0] if single else answers


async def v1_rerank(service: Service, request: V1RerankRequest, caller: Caller) -> V1RerankAnswer:
    """Rank documents by their score with the query."""
    model = service.require_pairs(one_score=True)
    if request.model not in (None, model.name):
        raise StatusError(
            404, f"there is no pair model {request.model!r:.40}; the server has {model.name!r}"
        )
    texts = [_text(document, number) for number, document in enumerate(request.documents)]
    scored = await model.score(caller, [(request.query, text) for text in texts])
    scores = scored.scores[:, 0]
    results = [
        RankedDocument(
            int(i), float(scores[i]), Document(texts[i]) if request.return_documents else None
        )
        for i in np.argsort(-scores, kind="stable")[: request.top_n]
    ]
    usage = RerankUsage(scored.tokens, scored.tokens)
    return V1RerankAnswer(str(uuid.uuid4()), model.name, results, usage)


def _cut(service: Service, asked: bool | None) -> bool:
    return service.auto_truncate if asked is None else asked


def _text(document: object, number: int) -> str:
    text = document.get("text") if isinstance(document, dict) else document
    if not isinstance(text, str):
        raise InputError(f"document {number} is no text and has none: send a text, or {{text: …}}")
    return text


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
    *(
        Endpoint(
            path,
            "openai",
            V1RerankRequest,
            V1RerankAnswer,
            v1_rerank,
            "Order documents by how well each goes with a query, for clients of Cohere and Jina.",
            {"query": _QUERY, "documents": _TEXTS, "top_n": 1},
        )
        for path in ("/v1/rerank", "/v2/rerank")  # the latter for Cohere's newer client
    ),
]
