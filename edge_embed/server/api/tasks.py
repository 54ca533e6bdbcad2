"""Tasks on embeddings over HTTP: /v1/similarity, /v1/pairs, /v1/dedup and /v1/search."""

from typing import Annotated, Any

import msgspec

from edge_embed.errors import InputError
from edge_embed.server.api.openai import Usage
from edge_embed.server.endpoint import Endpoint, Matrix
from edge_embed.server.request import Caller
from edge_embed.server.served_model import EmbedOptions
from edge_embed.server.service import Service
from edge_embed.tasks import Hit, Index, deduplicate, differences
from edge_embed.vectors import row_cosines

__all__ = ["ENDPOINTS"]

_MAX_HITS = 1000
# Estimated bytes of a hit besides its text and id.
_HIT_BYTES = 64


class SimilarityRequest(msgspec.Struct):
    """Texts to compare with one another, or with others."""

    texts: list[str]
    others: list[str] | None = None
    model: str | None = None
    pair_scores: bool = False
    """Also return the pair model's scores."""


class SimilarityAnswer(msgspec.Struct, omit_defaults=True):
    """Similarities: a row for each text, a column for each of the others (by default the texts).

    They are cosines, or the measure that the model states.
    """

    similarity: Matrix
    model: str
    usage: Usage
    pair_scores: Matrix | None = None
    """The pair model's scores, in the same layout."""


class PairsRequest(msgspec.Struct):
    """Pairs of texts to compare."""

    pairs: list[list[str]]
    """Two texts each."""
    model: str | None = None


class JudgedPair(msgspec.Struct, omit_defaults=True):
    """The comparison of a pair."""

    cosine: float
    negation: bool
    """Whether only one of the two is negated."""
    numbers: bool
    """Whether they have different numbers."""
    pair_score: float | None = None
    """The pair model's probability that they are paraphrases, if one is served."""
    same: bool | None = None
    """Whether ``pair_score`` is at least the pair model's threshold."""


class PairsAnswer(msgspec.Struct, omit_defaults=True):
    """The comparison of each pair."""

    pairs: list[JudgedPair]
    model: str
    usage: Usage
    pair_model: str | None = None
    threshold: float | None = None
    """The pair score from which two texts count as paraphrases."""


class DedupRequest(msgspec.Struct):
    """Texts to deduplicate."""

    texts: list[str]
    threshold: Annotated[float, msgspec.Meta(ge=-1, le=1)] = 0.9
    model: str | None = None


class Removed(msgspec.Struct):
    """A removed text (row), and the kept text that it duplicates (partner)."""

    row: int
    partner: int
    score: float


class DedupAnswer(msgspec.Struct):
    """The kept rows and the removed rows."""

    kept: list[int]
    duplicates: list[Removed]
    model: str
    usage: Usage


class SearchRequest(msgspec.Struct):
    """Queries to the attached index."""

    query: str | list[str]
    k: Annotated[int, msgspec.Meta(ge=1, le=_MAX_HITS)] = 10
    where: dict[str, Any] | None = None
    """Only texts with these metadata."""
    hybrid: bool = True
    """Rank by vectors and words together, or by vectors only."""


class FoundText(msgspec.Struct, omit_defaults=True):
    """A text of the index."""

    id: str
    text: str
    metadata: dict[str, Any]
    score: float
    """Its cosine with the query."""
    fused: float | None = None
    """The score that hybrid search ranks by."""
    document: str | None = None
    """For a passage, the id of its document."""
    passage: int | None = None
    """For a passage, its number in the document, from 1."""


class SearchAnswer(msgspec.Struct):
    """The hits of each query, best first."""

    hits: list[list[FoundText]]
    model: str
    usage: Usage


async def similarity(
    service: Service, request: SimilarityRequest, caller: Caller
) -> SimilarityAnswer:
    """Compare texts."""
    async with service.pool.use(request.model) as served:
        count = len(request.texts)
        columns = count if request.others is None else len(request.others)
        caller.check_numbers(count * columns, "the similarities")
        judge = service.require_pairs(one_score=True) if request.pair_scores else None
        if judge is not None:
            caller.check_texts(count * columns)  # it reads every pair
        texts = request.texts + (request.others or [])
        embedded = await served.embed(caller, texts)
        others = embedded.vectors if request.others is None else embedded.vectors[count:]
        matrix = served.embedder.similarity(embedded.vectors[:count], others)
        answer = SimilarityAnswer(matrix, served.name, Usage.of(embedded))
        cosine = served.embedder.similarity_fn_name == "cosine"
        known = cosine and judge is not None and judge.adds_cosine_of(served)
    if judge is not None:  # outside of the model's block: the pair model's encoder may need memory
        second = request.texts if request.others is None else request.others
        both = [(a, b) for a in request.texts for b in second]
        scored = await judge.score(caller, both, cosines=matrix.reshape(-1) if known else None)
        answer.pair_scores = scored.scores.reshape(matrix.shape)
    return answer


async def pairs(service: Service, request: PairsRequest, caller: Caller) -> PairsAnswer:
    """Compare pairs: cosine, negation, numbers, and the pair model's score if one is served."""
    wrong = next((n for n, pair in enumerate(request.pairs) if len(pair) != 2), None)
    if wrong is not None:
        raise InputError(f"pair {wrong} is not two texts: send [text, text]")
    async with service.pool.use(request.model) as served:
        served.embedder.config.require_cosine("judging pairs")
        texts = [text for pair in request.pairs for text in pair]
        embedded = await served.embed(caller, texts, EmbedOptions(normalize=True))
        cosines = row_cosines(embedded.vectors[::2], embedded.vectors[1::2])
        flags = await caller.run("long", lambda: [differences(*pair) for pair in request.pairs])
        found = [
            JudgedPair(round(cosine, 6), flag.negation, flag.numbers)
            for cosine, flag in zip(cosines.tolist(), flags, strict=True)
        ]
        answer = PairsAnswer(found, served.name, Usage.of(embedded))
        known = service.pairs is not None and service.pairs.adds_cosine_of(served)
    if service.pairs is not None:
        model = service.require_pairs(one_score=True)
        scored = await model.score(caller, request.pairs, cosines=cosines if known else None)
        answer.pair_model, answer.threshold = model.name, model.scorer.threshold
        for judged, score in zip(found, scored.scores[:, 0].tolist(), strict=True):
            judged.pair_score, judged.same = round(score, 6), score >= answer.threshold
    return answer


async def dedup(service: Service, request: DedupRequest, caller: Caller) -> DedupAnswer:
    """Find near-duplicates."""
    async with service.pool.use(request.model) as served:
        served.embedder.config.require_cosine("deduplication")
        embedded = await served.embed(caller, request.texts)
        result = await caller.run(
            "long", lambda: deduplicate(embedded.vectors, threshold=request.threshold)
        )
        removed = [Removed(d.row, d.partner, round(d.score, 6)) for d in result.duplicates]
        kept = [int(row) for row in result.kept]
        return DedupAnswer(kept, removed, served.name, Usage.of(embedded))


async def search(service: Service, request: SearchRequest, caller: Caller) -> SearchAnswer:
    """Search the attached index."""
    queries = [request.query] if isinstance(request.query, str) else request.query
    caller.check_results(len(queries), request.k)
    async with service.pool.use() as served:
        index = service.check_index(served)
        options = EmbedOptions(prompt=served.embedder.query_prompt)
        embedded = await served.embed(caller, queries, options)
        hits = await caller.run(
            "search", lambda: _hits(index, request, queries, embedded.vectors, caller)
        )
        return SearchAnswer(hits, served.name, Usage.of(embedded))


def _hits(
    index: Index,
    request: SearchRequest,
    queries: list[str],
    vectors: Any,  # noqa: ANN401
    caller: Caller,
) -> list[list[FoundText]]:
    """Search for a few queries at a time, until the client disconnects or the answer is too large.

    Raises:
        StatusError: the answer is too large (413).
    """
    hits: list[list[FoundText]] = []
    size = 0
    step = max(1, _MAX_HITS // request.k)
    with index.stopping(lambda: caller.over):
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            for ranking in index.search(
                vectors[part],
                k=request.k,
                where=request.where,
                queries=queries[part],
                dense=not request.hybrid,
            ):
                size += sum(len(hit.text) + len(hit.id) + _HIT_BYTES for hit in ranking)
                caller.check_answer(size, "the hits", "send fewer queries, or a smaller k")
                hits.append([_found(hit) for hit in ranking])
    return hits


def _found(hit: Hit) -> FoundText:
    fused = None if hit.fused is None else round(hit.fused, 6)
    document = None if hit.passage is None else hit.document
    metadata = dict(hit.metadata)
    return FoundText(hit.id, hit.text, metadata, round(hit.score, 6), fused, document, hit.passage)


_TEXTS = ["Reset my password", "I forgot my password", "Opening hours"]

ENDPOINTS = [
    Endpoint(
        "/v1/similarity",
        "openai",
        SimilarityRequest,
        SimilarityAnswer,
        similarity,
        "Compare texts with one another: cosines, and pair scores if asked for.",
        {"texts": _TEXTS},
    ),
    Endpoint(
        "/v1/pairs",
        "openai",
        PairsRequest,
        PairsAnswer,
        pairs,
        "Judge pairs: cosine, negation, numbers, and the pair model's score.",
        {"pairs": [_TEXTS[:2]]},
    ),
    Endpoint(
        "/v1/dedup",
        "openai",
        DedupRequest,
        DedupAnswer,
        dedup,
        "Find near-duplicates.",
        {"texts": _TEXTS, "threshold": 0.9},
    ),
    Endpoint(
        "/v1/search",
        "openai",
        SearchRequest,
        SearchAnswer,
        search,
        "Search the attached index, by meaning and by words.",
        {"query": "I forgot my password", "k": 3},
    ),
]
