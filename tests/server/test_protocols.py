"""The server's protocols: the vectors of Embedder.encode, in each protocol's shape."""

import asyncio
import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from edge_embed import EdgeEmbedError, Embedder, __version__
from edge_embed.model.fingerprint import model_fingerprint
from edge_embed.server import Service
from edge_embed.tasks import Index
from tests.support.serving import running, source, with_client

TEXTS = ["Reset my password", "a", "Opening hours on Sundays, please"]
LONG = "word " * 300


@pytest.fixture(scope="module")
def embedder(tiny_model: Path) -> Embedder:
    return Embedder(tiny_model, cache=False)


@pytest.fixture(scope="module")
def post(tiny_model: Path) -> Iterator[Any]:
    """A function that posts JSON to a server with the tiny model and returns the answer."""
    loop = asyncio.new_event_loop()
    context = running(Service([source(tiny_model)]))
    client = loop.run_until_complete(context.__aenter__())

    def call(path: str, body: object, status: int = 200) -> Any:
        response = loop.run_until_complete(client.post(path, json=body))
        assert response.status_code == status, response.text
        return response.json()

    call.client, call.loop = client, loop  # type: ignore[attr-defined]
    yield call
    loop.run_until_complete(context.__aexit__(None, None, None))
    loop.close()


def same(a: Any, b: npt.NDArray[np.float32]) -> None:
    np.testing.assert_allclose(np.array(a, np.float32), b, atol=1e-3)


def vectors_of(answer: Any) -> npt.NDArray[np.float32]:
    assert answer["object"] == "list"
    assert [item["index"] for item in answer["data"]] == list(range(len(answer["data"])))
    return np.array([item["embedding"] for item in answer["data"]], np.float32)


def test_openai_texts(post: Any, embedder: Embedder) -> None:
    answer = post("/v1/embeddings", {"input": TEXTS, "model": "tiny", "user": "me"})
    same(vectors_of(answer), embedder.encode(TEXTS))
    assert answer["model"] == "tiny"
    tokens = int(embedder.count_tokens(TEXTS).sum())
    assert answer["usage"] == {
        "prompt_tokens": tokens,
        "total_tokens": tokens,
        "truncated_texts": 0,
    }
    single = post("/v1/embeddings", {"input": TEXTS[0]})
    same(vectors_of(single), embedder.encode(TEXTS[:1]))


def test_openai_base64_and_dimensions(post: Any, embedder: Embedder) -> None:
    body = {"input": TEXTS, "encoding_format": "base64", "dimensions": 8}
    data = post("/v1/embeddings", body)["data"]
    vectors = np.stack([np.frombuffer(base64.b64decode(d["embedding"]), "<f4") for d in data])
    same(vectors, embedder.encode(TEXTS, dim=8, normalize=True))
    message = post("/v1/embeddings", {"input": "a", "dimensions": 33}, 422)["error"]["message"]
    assert message == "cannot keep 33 dimensions: choose from 1 to 32"


def test_openai_token_ids(post: Any, embedder: Embedder) -> None:
    ids = [ids.tolist() for ids in embedder.tokenizer(TEXTS).ids]
    same(vectors_of(post("/v1/embeddings", {"input": ids})), embedder.encode(TEXTS))
    same(vectors_of(post("/v1/embeddings", {"input": ids[0]})), embedder.encode(TEXTS[:1]))
    refused: list[Any] = [[5, 6], [99999], [[]], [ids[0], [1]]]
    for wrong in refused:
        assert "token" in post("/v1/embeddings", {"input": wrong}, 422)["error"]["message"]
    body = {"input": ids, "prompt_name": "query"}
    assert "prompt" in post("/v1/embeddings", body, 422)["error"]["message"]


def test_a_cut_is_counted_or_refused(post: Any, embedder: Embedder) -> None:
    answer = post("/v1/embeddings", {"input": ["short", LONG]})
    assert answer["usage"]["truncated_texts"] == 1
    assert answer["usage"]["prompt_tokens"] == 3 + 128
    same(vectors_of(answer), embedder.encode(["short", LONG], truncation="ignore"))
    body = {"input": ["short", LONG], "truncate": False}
    message = post("/v1/embeddings", body, 413)["error"]["message"]
    assert "text 1 has" in message
    assert "the model reads 128" in message


def test_tei_embed(post: Any, embedder: Embedder) -> None:
    for path in ("/embed", "/"):
        same(post(path, {"inputs": TEXTS}), embedder.encode(TEXTS, normalize=True))
        same(post(path, {"inputs": TEXTS[0]}), embedder.encode(TEXTS[:1], normalize=True))
    raw = post("/embed", {"inputs": TEXTS, "normalize": False, "dimensions": 5})
    same(raw, embedder.encode(TEXTS, dim=5))
    same(post("/embed", {"inputs": LONG}), embedder.encode([LONG], truncation="ignore"))
    refused = post("/embed", {"inputs": LONG, "truncate": False}, 413)
    assert refused["error_type"] == "Validation"
    right = post("/embed", {"inputs": LONG + " end", "truncate": True})
    left_body = {"inputs": LONG + " end", "truncate": True, "truncation_direction": "left"}
    left = post("/embed", left_body)
    same(right, embedder.encode([LONG], truncation="ignore"))
    assert not np.allclose(left, right, atol=1e-3)
    assert post("/embed", {"inputs": "a", "prompt_name": "query"}, 422)["error"].startswith(
        "the model has no prompt"
    )


def test_the_old_way_of_tei_refuses_where_a_request_does_not_say(tiny_model: Path) -> None:
    async def ask(http: httpx.AsyncClient) -> None:
        for extra, status in (({}, 413), ({"truncate": True}, 200)):
            answer = await http.post("/embed", json={"inputs": LONG, **extra})
            assert answer.status_code == status, answer.text

    with_client(Service([source(tiny_model)], auto_truncate=False), ask)


def test_tei_embed_all_pools_to_embed(post: Any, embedder: Embedder) -> None:
    states = post("/embed_all", {"inputs": TEXTS})
    assert [len(text) for text in states] == embedder.count_tokens(TEXTS).tolist()
    pooled = np.stack([np.mean(text, axis=0) for text in states])
    same(pooled / np.linalg.norm(pooled, axis=1, keepdims=True), embedder.encode(TEXTS))


def test_tei_similarity(post: Any, embedder: Embedder) -> None:
    body = {"inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS}}
    same(post("/similarity", body), embedder.similarity(TEXTS[:1], TEXTS)[0])
    assert max(post("/similarity", body)) <= 1


def test_tei_tokenize_and_decode(post: Any, embedder: Embedder) -> None:
    (tokens,) = post("/tokenize", {"inputs": "reset it"})
    ids = [token["id"] for token in tokens]
    assert ids == embedder.tokenizer(["reset it"]).ids[0].tolist()
    assert tokens[0] == {
        "id": ids[0],
        "text": "[CLS]",
        "special": True,
        "start": None,
        "stop": None,
    }
    assert "".join(token["text"] for token in tokens[1:-1]) == "resetit"
    (bare,) = post("/tokenize", {"inputs": "reset it", "add_special_tokens": False})
    assert bare == tokens[1:-1]
    assert post("/decode", {"ids": ids}) == ["reset it"]
    assert post("/decode", {"ids": [ids, ids], "skip_special_tokens": False})[1].startswith("[CLS]")
    assert "token id" in post("/decode", {"ids": [99999]}, 422)["error"]


def test_own_similarity_and_dedup(post: Any, embedder: Embedder) -> None:
    answer = post("/v1/similarity", {"texts": TEXTS})
    same(answer["similarity"], embedder.similarity(TEXTS, TEXTS))
    answer = post("/v1/similarity", {"texts": TEXTS, "others": TEXTS[:1]})
    same(answer["similarity"], embedder.similarity(TEXTS, TEXTS[:1]))
    answer = post("/v1/dedup", {"texts": [*TEXTS, TEXTS[1]], "threshold": 0.999})
    assert answer["kept"] == [0, 1, 2]
    assert [(d["row"], d["partner"]) for d in answer["duplicates"]] == [(3, 1)]
    assert "no index is attached" in post("/v1/search", {"query": "a"}, 404)["error"]["message"]


def test_search_in_an_index(tiny_model: Path, embedder: Embedder, tmp_path: Path) -> None:
    made_with = model_fingerprint(embedder)
    with Index.create(tmp_path / "i.index", dim=embedder.dim, model=made_with) as index:
        notes = [{"n": number} for number in range(3)]
        index.add(TEXTS, embedder.encode(TEXTS), ids=["x", "y", "z"], metadata=notes)

        async def ask(http: httpx.AsyncClient) -> None:
            answer = (await http.post("/v1/search", json={"query": TEXTS[1], "k": 2})).json()
            first, second = answer["hits"][0]
            assert (first["id"], first["text"], first["metadata"]) == ("y", "a", {"n": 1})
            assert first["score"] > 0.999 > second["score"]
            assert first["fused"] > second["fused"]
            body = {"query": TEXTS[1], "k": 2, "hybrid": False}
            dense = (await http.post("/v1/search", json=body)).json()["hits"][0]
            assert dense[0]["id"] == "y"
            assert "fused" not in dense[0]
            body = {"query": TEXTS, "k": 1, "where": {"n": 2}}
            answer = (await http.post("/v1/search", json=body)).json()
            assert [[hit["id"] for hit in hits] for hits in answer["hits"]] == [["z"]] * 3

        with_client(Service([source(tiny_model)], index=index), ask)


def test_an_index_of_another_model_is_refused_at_the_start(
    tiny_model: Path, tmp_path: Path
) -> None:
    with (
        Index.create(tmp_path / "i.index", dim=32, model="f" * 64) as index,
        pytest.raises(EdgeEmbedError, match="made with another model than 'tiny'"),
    ):
        with_client(Service([source(tiny_model)], index=index), lambda _: asyncio.sleep(0))


def test_several_models_by_name(tiny_model: Path, tiny_albert: Path) -> None:
    service = Service([source(tiny_model, "a"), source(tiny_albert, "b")])

    async def ask(http: httpx.AsyncClient) -> None:
        for name, folder in (("b", tiny_albert), ("a", tiny_model)):
            truth = Embedder(folder, cache=False).encode(TEXTS)
            body = {"input": TEXTS, "model": name}
            answer = (await http.post("/v1/embeddings", json=body)).json()
            same(vectors_of(answer), truth)
            assert answer["model"] == name
        assert [m["id"] for m in (await http.get("/v1/models")).json()["data"]] == ["a", "b"]
        assert (await http.get("/info")).json()["model_id"] == "a"

    with_client(service, ask)


def test_what_is_said_of_models(post: Any) -> None:
    def get(path: str) -> httpx.Response:
        response: httpx.Response = post.loop.run_until_complete(post.client.get(path))
        assert response.status_code == 200, response.text
        return response

    assert [model["id"] for model in get("/v1/models").json()["data"]] == ["tiny"]
    facts = get("/info").json()
    assert facts["model_type"] == {"embedding": {"pooling": "mean"}}
    assert facts["max_input_length"] == 128
    assert facts["auto_truncate"] is True
    for path in ("/live", "/ready", "/health", "/ping", "/docs", "/openapi.json", "/"):
        get(path)
    ready = get("/ready").json()
    (model,) = ready["models"]
    assert (ready["status"], ready["version"]) == ("ready", __version__)
    assert (model["name"], len(model["fingerprint"])) == ("tiny", 64)
    metrics = get("/metrics").text
    assert f'edge_embed_info{{version="{__version__}"}} 1.0' in metrics
    (about,) = re.findall(r"^edge_embed_model_info\{.*", metrics, re.MULTILINE)
    assert f'fingerprint="{model["fingerprint"]}"' in about
    assert 'edge_embed_texts_total{model="tiny"}' in metrics
    assert 'edge_embed_truncated_texts_total{model="tiny"}' in metrics
    for name in ("queue_tokens", "batch_fill_sum", "stage_seconds_sum", "rejected_requests_total"):
        assert f"edge_embed_{name}" in metrics
    assert "process_resident_memory_bytes" in metrics


WRONG = [
    (b"{", 400, "no JSON"),
    (b"", 400, "no JSON"),
    (b'{"input": NaN}', 400, "no JSON"),
    (b'{"input": "\xff\xfe"}', 400, "no JSON"),
    (b'{"input": "\\ud800"}', 400, "no JSON"),
    (b"[" * 100_000, 422, "Expected `object`"),
    (b'{"x": ' + b"[" * 100_000, 400, "nested too deeply"),
    (b'{"input": ' + b"[" * 100_000, 422, "$.input"),
    (b"[]", 422, "Expected `object`"),
    (b"null", 422, "Expected `object`"),
    (b"{}", 422, "missing required field `input`"),
    (b'{"input": null}', 422, "$.input"),
    (b'{"input": 3}', 422, "$.input"),
    (b'{"input": [1.5]}', 422, "$.input"),
    (b'{"input": [true]}', 422, "$.input"),
    (b'{"input": ["a", 1]}', 422, "mixes"),
    (b'{"input": [["a"]]}', 422, "$.input"),
    (b'{"input": []}', 422, "no input"),
    (b'{"input": [[1e999]]}', 422, "$.input"),
    (b'{"input": [99999999999999999999999]}', 422, "token id"),
    (b'{"input": [' + b"9" * 5000 + b"]}", 422, ""),
    (b'{"input": [-9223372036854775808]}', 422, "token id"),
    (b'{"input": "a", "dimensions": 0}', 422, "$.dimensions"),
    (b'{"input": "a", "dimensions": 1e3}', 422, "$.dimensions"),
    (b'{"input": "a", "encoding_format": "TOP SECRET"}', 422, "Invalid enum value - at"),
    (b'{"input": "a", "model": "TOP SECRET"}', 404, "the models are: tiny"),
]


@pytest.mark.parametrize(("body", "status", "message"), WRONG)
def test_bad_bodies(post: Any, body: bytes, status: int, message: str) -> None:
    headers = {"content-type": "application/json"}
    response = post.loop.run_until_complete(
        post.client.post("/v1/embeddings", content=body, headers=headers)
    )
    assert response.status_code == status
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert message in error["message"]
    assert "SECRET" not in response.text


def test_paths_methods_and_types(post: Any) -> None:
    def ask(method: str, path: str, **options: Any) -> httpx.Response:
        response: httpx.Response = post.loop.run_until_complete(
            post.client.request(method, path, **options)
        )
        return response

    assert ask("GET", "/nothing").json()["error"]["type"] == "invalid_request_error"
    assert ask("GET", "/v1/nothing").status_code == 404
    assert "error" in ask("GET", "/v1/nothing").json()
    assert ask("GET", "/v1/embeddings").status_code == 405
    assert ask("GET", "/v1/embeddings").headers["allow"] == "POST"
    assert ask("POST", "/embed", content=b"{}").status_code == 415
    form = ask("POST", "/embed", data={"inputs": "a"})
    assert form.status_code == 415
    assert "Content-Type" in form.json()["error"]
    for headers in ({"origin": "http://elsewhere"}, {}):
        answer = ask("POST", "/embed", json={"inputs": "a"}, headers=headers)
        assert "access-control-allow-origin" not in answer.headers
