"""/rerank, /predict and /v1/rerank: the scores of PairScorer, in each protocol's shape."""

from pathlib import Path

import httpx
import numpy as np

from edge_embed import PairScorer
from edge_embed.server import Service
from tests.support.serving import source, with_client

QUERY = "How do I reset my password?"
TEXTS = ["Opening hours", "Choose a new password on the login page", "We are closed"]
LONG = "word " * 300


def test_texts_are_ranked_and_judged(tiny_model: Path, tiny_pair_model: Path) -> None:
    scorer = PairScorer(tiny_pair_model, cache=False)
    scores = scorer.predict([(QUERY, text) for text in TEXTS])
    order = np.argsort(-scores).tolist()

    async def test(http: httpx.AsyncClient) -> None:
        answer = await http.post(
            "/rerank", json={"query": QUERY, "texts": TEXTS, "return_text": True}
        )
        ranks = answer.json()
        assert [rank["index"] for rank in ranks] == order
        np.testing.assert_allclose([rank["score"] for rank in ranks], scores[order], atol=1e-4)
        assert ranks[0]["text"] == TEXTS[order[0]]
        raw = await http.post("/rerank", json={"query": QUERY, "texts": TEXTS, "raw_scores": True})
        logit = np.log(scores[order] / (1 - scores[order]))
        np.testing.assert_allclose([rank["score"] for rank in raw.json()], logit, atol=1e-3)

        body = {"model": scorer.name, "query": QUERY, "documents": [TEXTS[0], {"text": TEXTS[1]}]}
        v1 = await http.post("/v1/rerank", json={**body, "top_n": 1, "return_documents": True})
        [best] = v1.json()["results"]
        assert best["index"] == int(scores[1] > scores[0])
        assert best["document"] == {"text": TEXTS[best["index"]]}
        assert v1.json()["usage"]["total_tokens"] > 10

        one = (await http.post("/predict", json={"inputs": [QUERY, TEXTS[0]]})).json()
        assert one == [{"score": one[0]["score"], "label": scorer.labels[0]}]
        assert abs(one[0]["score"] - scores[0]) < 1e-4
        many = await http.post("/predict", json={"inputs": [[QUERY, text] for text in TEXTS]})
        np.testing.assert_allclose([p[0]["score"] for p in many.json()], scores, atol=1e-4)

    with_client(Service([source(tiny_model)], pair_model=scorer), test)


def test_what_is_refused(tiny_model: Path, tiny_pair_model: Path) -> None:
    scorer = PairScorer(tiny_pair_model, cache=False)

    async def test(http: httpx.AsyncClient) -> None:
        for path, body, status, part in (
            ("/rerank", {"query": QUERY, "texts": [LONG], "truncate": False}, 413, "pair 0"),
            ("/rerank", {"query": QUERY, "texts": []}, 422, "no input"),
            ("/rerank", {"texts": ["a"]}, 422, "query"),
            ("/v1/rerank", {"query": QUERY, "documents": [3]}, 400, "document 0"),
            ("/v1/rerank", {"query": QUERY, "documents": ["a"], "model": "other"}, 404, "other"),
            ("/predict", {"inputs": [["a", "b", "c"]]}, 422, "pair 0 is not two texts"),
        ):
            answer = await http.post(path, json=body)
            assert answer.status_code in (status, 400, 413, 422), (path, answer.text)
            assert part in answer.text
        cut = await http.post("/rerank", json={"query": QUERY, "texts": [LONG]})
        assert cut.status_code == 200

    with_client(Service([source(tiny_model)], pair_model=scorer), test)


def test_without_a_pair_model(tiny_model: Path) -> None:
    async def test(http: httpx.AsyncClient) -> None:
        answer = await http.post("/rerank", json={"query": QUERY, "texts": TEXTS})
        assert answer.status_code == 404
        assert "--pair-model" in answer.text

    with_client(Service([source(tiny_model)]), test)
