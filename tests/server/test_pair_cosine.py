"""The cosine that a pair model weighs in: by the encoder that is served, or by a copy."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from edge_embed import Embedder, PairScorer
from edge_embed.server import Limits, ModelSource, Service
from tests.server.test_limits import Guarded
from tests.server.test_pair_limits import BODIES
from tests.support.pair_sources import with_cosine
from tests.support.serving import source, with_client

QUERY = "How do I reset my password?"
TEXTS = ["Opening hours", "Choose a new password on the login page", "We are closed"]
PAIRS = [(QUERY, text) for text in TEXTS]


@pytest.fixture
def weighing(tiny_pair_model: Path, tiny_model: Path, tmp_path: Path) -> Path:
    """A pair model that weighs in the cosine of the tiny model."""
    return with_cosine(tiny_pair_model, tiny_model, tmp_path / "weighing")


async def _scores(http: httpx.AsyncClient) -> list[list[float]]:
    """The scores of PAIRS by every path that gives them."""
    predicted = await http.post("/predict", json={"inputs": PAIRS})
    ranked = await http.post("/rerank", json={"query": QUERY, "texts": TEXTS})
    given = await http.post("/v1/pairs", json={"pairs": PAIRS})
    both = {"texts": [QUERY], "others": TEXTS, "pair_scores": True}
    matrix = await http.post("/v1/similarity", json=both)
    assert {a.status_code for a in (predicted, ranked, given, matrix)} == {200}
    by_row = sorted(ranked.json(), key=lambda rank: int(rank["index"]))
    return [
        [answer[0]["score"] for answer in predicted.json()],
        [rank["score"] for rank in by_row],
        [pair["pair_score"] for pair in given.json()["pairs"]],
        matrix.json()["pair_scores"][0],
    ]


def _run(sources: list[ModelSource], folder: Path, **options: Any) -> tuple[PairScorer, str]:
    """Serve, and hold every score against the library's; return the scorer and the metrics."""
    scorer = PairScorer(folder, cache=False)
    expected = PairScorer(folder, cache=False).predict(PAIRS)
    metrics = ""

    async def test(http: httpx.AsyncClient) -> None:
        nonlocal metrics
        for found in await _scores(http):
            np.testing.assert_allclose(found, expected, atol=1e-4)
        metrics = (await http.get("/metrics")).text

    with_client(Service(sources, pair_model=scorer, **options), test)
    return scorer, metrics


def _is_loaded(scorer: PairScorer) -> bool:
    assert scorer.cosine is not None
    return scorer.cosine.loaded


def test_the_encoder_that_is_served_embeds(tiny_model: Path, weighing: Path) -> None:
    scorer, metrics = _run([source(tiny_model)], weighing)
    assert not _is_loaded(scorer)
    assert "weighing/cosine" not in metrics
    # Of /predict and /rerank each text once; of the other two paths what they embed anyway.
    assert 'edge_embed_texts_total{model="tiny"} 18.0' in metrics


def test_any_model_that_is_served_may_be_it(tiny_model: Path, weighing: Path) -> None:
    def load() -> Embedder:
        return Embedder(tiny_model, cache=False, variant="static")

    static = ModelSource.find("static", str(tiny_model), load, variant="static")
    scorer, metrics = _run([static, source(tiny_model)], weighing)
    assert not _is_loaded(scorer)
    assert "weighing/cosine" not in metrics


def test_one_that_is_not_served_has_a_queue_of_its_own(
    tiny_model: Path, weighing: Path, tmp_path: Path
) -> None:
    other = _with_another_prompt(tiny_model, tmp_path / "other")
    scorer, metrics = _run([source(other)], weighing)
    assert _is_loaded(scorer)
    assert 'edge_embed_queue_tokens{model="weighing/cosine"} 0.0' in metrics
    assert 'edge_embed_texts_total{model="weighing/cosine"} 16.0' in metrics


def test_it_may_be_unloaded_and_loaded_again(
    tiny_model: Path, weighing: Path, tmp_path: Path
) -> None:
    other = source(_with_another_prompt(tiny_model, tmp_path / "other"), "other")
    tiny = source(tiny_model)
    room = max(tiny.weights_bytes, other.weights_bytes)
    scorer, _ = _run([other, tiny], weighing, memory_bytes=room)
    assert not _is_loaded(scorer)


def test_a_model_that_is_another_after_a_reload_is_not_it(
    tiny_model: Path, weighing: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(tiny_model, tmp_path / "copy")
    scorer = PairScorer(weighing, cache=False)
    expected = PairScorer(weighing, cache=False).predict(PAIRS)
    service = Service([source(copy)], pair_model=scorer)

    async def test(http: httpx.AsyncClient) -> None:
        np.testing.assert_allclose((await _scores(http))[0], expected, atol=1e-4)
        assert not _is_loaded(scorer)
        _set_prompt(copy)
        await service.pool.reload()
        for found in await _scores(http):
            np.testing.assert_allclose(found, expected, atol=1e-4)
        assert _is_loaded(scorer)

    with_client(service, test)


def test_its_queue_may_be_full(tiny_model: Path, weighing: Path) -> None:
    scorer = PairScorer(weighing, cache=False)
    server = Guarded(tiny_model, pair_model=scorer, limits=Limits(queue_tokens=60))

    async def test(http: httpx.AsyncClient) -> None:
        server.engine.gate.clear()
        first = asyncio.create_task(http.post("/embed", json={"inputs": "a"}))
        await server.until_at_work()
        waiting = asyncio.create_task(http.post("/embed", json={"inputs": ["a b c"] * 11}))
        await server.until_waiting(55)
        for path, body in BODIES.items():
            assert (await http.post(path, json=body)).status_code == 429, path
        server.engine.gate.set()
        await asyncio.gather(first, waiting)
        for path, body in BODIES.items():
            assert (await http.post(path, json=body)).status_code == 200, path

    server.test(test)


def test_nobody_waits_longer_for_it_than_stated(tiny_model: Path, weighing: Path) -> None:
    scorer = PairScorer(weighing, cache=False)
    server = Guarded(tiny_model, pair_model=scorer, limits=Limits(request_seconds=0.2))

    async def test(http: httpx.AsyncClient) -> None:
        server.engine.gate.clear()
        for path, body in BODIES.items():
            late = await http.post(path, json=body)
            assert late.status_code == 503, path
            assert "no result after 0.2 seconds" in late.text
            await server.until_waiting(0)

    server.test(test)


def test_its_texts_are_not_counted_as_the_requests(tiny_model: Path, weighing: Path) -> None:
    scorer = PairScorer(weighing, cache=False)

    async def test(http: httpx.AsyncClient) -> None:
        for count, status in ((4, 200), (5, 413)):
            body = {"query": QUERY, "texts": [f"text {number}" for number in range(count)]}
            assert (await http.post("/rerank", json=body)).status_code == status

    limits = Limits(inputs=4)
    with_client(Service([source(tiny_model)], pair_model=scorer, limits=limits), test)


def _with_another_prompt(model: Path, folder: Path) -> Path:
    shutil.copytree(model, folder)
    _set_prompt(folder)
    return folder


def _set_prompt(folder: Path) -> None:
    said = {"prompts": {"all": "good night "}, "default_prompt_name": "all"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(said))


def test_a_loaded_encoder_is_taken_if_it_is_the_same(tiny_model: Path, weighing: Path) -> None:
    same, static = (Embedder(tiny_model, cache=False, variant=v) for v in (None, "static"))
    scorer = PairScorer(weighing, cache=False, encoder=same)
    assert scorer.cosine is not None
    assert scorer.cosine.embedder is same
    other = PairScorer(weighing, cache=False, encoder=static)
    assert not _is_loaded(other)
    np.testing.assert_allclose(other.predict(PAIRS), scorer.predict(PAIRS), atol=1e-5)
    assert _is_loaded(other)
