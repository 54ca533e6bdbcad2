"""The queue before a pair model: full, late, left and failing, on every path that reads pairs."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge_embed import PairScorer
from edge_embed.server import Limits, Service
from tests.server.test_limits import Engine, Guarded
from tests.support.serving import source, with_client

PAIR = ["opening hours", "when do you open"]
BODIES: dict[str, dict[str, Any]] = {
    "/rerank": {"query": PAIR[0], "texts": [PAIR[1]]},
    "/predict": {"inputs": PAIR},
    "/v1/rerank": {"query": PAIR[0], "documents": [PAIR[1]]},
    "/v2/rerank": {"query": PAIR[0], "documents": [PAIR[1]]},
    "/v1/pairs": {"pairs": [PAIR]},
    "/v1/similarity": {"texts": [PAIR[0]], "others": [PAIR[1]], "pair_scores": True},
}


class GuardedPairs(Guarded):
    """A service whose pair model a test holds in its hand."""

    def __init__(self, folder: Path, pair_folder: Path, **options: Any) -> None:
        scorer = PairScorer(pair_folder, cache=False)
        self.tokens = len(scorer.tokenizer.pairs([PAIR]).pairs[0])
        super().__init__(folder, pair_model=scorer, **options)
        self.engine = Engine(scorer.engine)
        scorer.engine = self.engine  # type: ignore[assignment]

    @property
    def waiting(self) -> int:
        assert self.service.pairs is not None
        return self.service.pairs.waiting_tokens


def test_a_full_queue_and_who_leaves_it(tiny_model: Path, tiny_pair_model: Path) -> None:
    server = GuardedPairs(tiny_model, tiny_pair_model, limits=Limits(queue_tokens=400))
    fits = 400 // server.tokens
    many = {"query": PAIR[0], "texts": [PAIR[1]] * fits}

    async def test(http: httpx.AsyncClient) -> None:
        server.engine.gate.clear()
        first = asyncio.create_task(http.post("/rerank", json=BODIES["/rerank"]))
        await server.until_at_work()
        second = asyncio.create_task(http.post("/rerank", json=many))
        await server.until_waiting(fits * server.tokens)
        for path, body in BODIES.items():
            refused = await http.post(path, json=body)
            assert refused.status_code == 429, path
            assert int(refused.headers["retry-after"]) >= 1
        second.cancel()
        await server.until_waiting(0)
        server.engine.gate.set()
        assert (await first).status_code == 200
        for path, body in BODIES.items():
            assert (await http.post(path, json=body)).status_code == 200, path
        too_many = await http.post("/predict", json={"inputs": [PAIR] * (fits + 1)})
        assert too_many.status_code == 413
        assert "the server takes 400: send fewer pairs" in too_many.text

    server.test(test)


def test_no_request_waits_longer_than_stated(tiny_model: Path, tiny_pair_model: Path) -> None:
    server = GuardedPairs(tiny_model, tiny_pair_model, limits=Limits(request_seconds=0.2))

    async def test(http: httpx.AsyncClient) -> None:
        server.engine.gate.clear()
        for path, body in BODIES.items():
            late = await http.post(path, json=body)
            assert late.status_code == 503, path
            assert "no result after 0.2 seconds" in late.text

    server.test(test)


def test_a_batch_that_fails(tiny_model: Path, tiny_pair_model: Path) -> None:
    server = GuardedPairs(tiny_model, tiny_pair_model)

    async def test(http: httpx.AsyncClient) -> None:
        scorer = server.service.require_pairs().scorer
        server.engine.poison = int(scorer.tokenizer.pairs([PAIR]).ids[0][1])
        for path, body in BODIES.items():
            failed = await http.post(path, json=body)
            assert failed.status_code == 500, path
            assert "the server's log says why" in failed.text
        server.engine.poison = None
        assert (await http.post("/predict", json={"inputs": PAIR})).status_code == 200

    server.test(test)


def test_counts_and_sizes(tiny_model: Path, tiny_pair_model: Path) -> None:
    scorer = PairScorer(tiny_pair_model, cache=False)

    async def test(http: httpx.AsyncClient) -> None:
        for path, body in (
            ("/rerank", {"query": "a", "texts": ["b"] * 51}),
            ("/predict", {"inputs": [PAIR] * 51}),
            ("/v1/rerank", {"query": "a", "documents": ["b"] * 51}),
            ("/v1/similarity", {"texts": ["b"] * 8, "pair_scores": True}),
        ):
            answer = await http.post(path, json=body)
            assert answer.status_code == 413, path
            assert "the server takes 50" in answer.text
        # A query of megabytes is not tokenized as a whole, with each of its documents.
        long = {"query": "word " * 400_000, "texts": ["other " * 10_000] * 50}
        assert (await http.post("/rerank", json=long)).status_code == 200

    with_client(Service([source(tiny_model)], pair_model=scorer, limits=Limits(inputs=50)), test)


def test_pair_scores_beside_the_cosine(tiny_model: Path, tiny_pair_model: Path) -> None:
    scorer = PairScorer(tiny_pair_model, cache=False)
    texts = ["It went through", "It did not go through", "It cost 5"]

    async def test(http: httpx.AsyncClient) -> None:
        body = {"texts": texts, "pair_scores": True}
        matrix = (await http.post("/v1/similarity", json=body)).json()
        truth = scorer.predict([(a, b) for a in texts for b in texts]).reshape(3, 3)
        for row, scores in zip(matrix["pair_scores"], truth.tolist(), strict=True):
            assert row == pytest.approx(scores, abs=1e-4)
        assert (
            "pair_scores" not in (await http.post("/v1/similarity", json={"texts": texts})).json()
        )
        answer = (await http.post("/v1/pairs", json={"pairs": [texts[:2], texts[1:]]})).json()
        first, second = answer["pairs"]
        assert (first["negation"], first["numbers"]) == (True, False)
        assert (second["negation"], second["numbers"]) == (True, True)
        assert first["cosine"] == pytest.approx(matrix["similarity"][0][1], abs=1e-4)
        assert first["pair_score"] == pytest.approx(truth[0, 1], abs=1e-4)
        assert first["same"] == (first["pair_score"] >= answer["threshold"] == scorer.threshold)
        assert answer["pair_model"] == scorer.name
        wrong = await http.post("/v1/pairs", json={"pairs": [texts]})
        assert wrong.status_code == 422
        assert "pair 0 is not two texts" in wrong.text
        metrics = (await http.get("/metrics")).text
        assert f'edge_embed_queue_tokens{{model="{scorer.name}"}}' in metrics

    with_client(Service([source(tiny_model)], pair_model=scorer), test)


def test_without_a_pair_model(tiny_model: Path) -> None:
    async def test(http: httpx.AsyncClient) -> None:
        (pair,) = (await http.post("/v1/pairs", json={"pairs": [PAIR]})).json()["pairs"]
        assert set(pair) == {"cosine", "negation", "numbers"}
        refused = await http.post("/v1/similarity", json=BODIES["/v1/similarity"])
        assert refused.status_code == 404
        assert "--pair-model" in refused.text

    with_client(Service([source(tiny_model)]), test)
