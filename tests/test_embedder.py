"""The front door: the same vectors however they are asked for, and sentence-transformers' names."""

import json
import pickle
import shutil
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_embed import (
    Embedder,
    InputError,
    ModelFormatError,
    TextError,
    TextTooLongError,
    TruncationWarning,
)
from edge_embed.errors import EdgeEmbedError
from edge_embed.model.precision import fit_ranges, quantize_embeddings
from edge_embed.runtime.batch import Batch
from edge_embed.runtime.engine import Engine

# How far the direction of a vector may move with batch, order or thread (1 - cosine).
TOLERANCE = {"fp32": 1e-5, "int8": 1e-3}


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Embedder:
    return Embedder(tiny_model, variant="fp32", cache=False)


@pytest.fixture(params=["fp32", "int8"])
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest 1 - cosine of paired rows."""
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return float(np.max(1 - (a * b).sum(axis=-1) / lengths))


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "padded"])
def test_vectors_do_not_depend_on_how_they_are_asked_for(
    tiny_albert: Path, corpus: list[str], variant: str, packed: bool
) -> None:
    model = Embedder(tiny_albert, variant=variant, packed=packed, cache=False)
    assert model.engine.packed == packed
    texts = corpus[:150]
    vectors = model.encode(texts)
    order = np.random.default_rng(0).permutation(len(texts))
    ways: dict[str, Callable[[], np.ndarray]] = {
        "one by one": lambda: np.stack([model.encode(text) for text in texts]),
        "shuffled": lambda: model.encode([texts[i] for i in order])[np.argsort(order)],
        "batches of 7": lambda: model.encode(texts, batch_size=7),
        "repeated": lambda: model.encode(texts * 2)[: len(texts)],
    }
    for name, way in ways.items():
        assert distance(way(), vectors) <= TOLERANCE[variant], name


@pytest.mark.parametrize(
    "options", [{"hint": "latency"}, {"hint": "throughput"}, {"threads": 1}], ids=str
)
def test_vectors_do_not_depend_on_the_runtime(
    tiny_albert: Path, corpus: list[str], variant: str, options: dict[str, Any]
) -> None:
    expected = Embedder(tiny_albert, variant=variant, cache=False).encode(corpus[:60])
    actual = Embedder(tiny_albert, variant=variant, cache=False, **options).encode(corpus[:60])
    assert distance(actual, expected) <= TOLERANCE[variant]


def test_packed_rows_give_the_vectors_of_padded_rows(
    tiny_albert: Path, corpus: list[str], variant: str
) -> None:
    packed = Embedder(tiny_albert, variant=variant, cache=False)
    padded = Embedder(tiny_albert, variant=variant, packed=False, cache=False)
    assert distance(packed.encode(corpus), padded.encode(corpus)) <= TOLERANCE[variant]


def test_threads_share_a_model(tiny_albert: Path, corpus: list[str]) -> None:
    model = Embedder(tiny_albert, variant="fp32", cache=False)
    expected = model.encode(corpus)
    with ThreadPoolExecutor(8) as pool:
        chunks = [slice(start, start + 29) for start in range(0, len(corpus), 29)] * 3
        results = list(pool.map(lambda chunk: model.encode(corpus[chunk]), chunks))
    for chunk, vectors in zip(chunks, results, strict=True):
        assert distance(vectors, expected[chunk]) <= 1e-5


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=30))
def test_any_text_gives_finite_vectors_in_order(model: Embedder, texts: list[str]) -> None:
    vectors = model.encode(texts, truncation="ignore")
    assert vectors.shape == (len(texts), model.dim)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    for text, vector in zip(texts[:3], vectors, strict=False):
        alone = model.encode(text, truncation="ignore")
        assert distance(alone[None], vector[None]) <= 1e-5


def test_shapes(model: Embedder) -> None:
    assert model.encode("one").shape == (32,)
    assert model.encode(["one"]).shape == (1, 32)
    assert model.encode(("one", "two")).shape == (2, 32)
    assert model.encode([]).shape == (0, 32)
    assert model.encode([], precision="ubinary").shape == (0, 4)
    assert model.encode(["one"], truncate_dim=5).shape == (1, 5)
    assert (model.encode(["one"], dim=5) == model.encode(["one"])[:, :5]).all()


def test_normalize(model: Embedder) -> None:
    vectors = model.encode(["one", "two"], dim=5, normalize=True)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    assert (
        vectors == model.encode(["one", "two"], truncate_dim=5, normalize_embeddings=True)
    ).all()


def test_similarity(model: Embedder) -> None:
    texts = ["one small step", "two small steps", "a giant leap"]
    matrix = model.similarity(texts, model.encode(texts))
    assert matrix.shape == (3, 3)
    np.testing.assert_allclose(np.diag(matrix), 1, atol=1e-5)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-5)
    with pytest.raises(InputError, match="32 and 5 dimensions"):
        model.similarity(texts, np.ones((2, 5), np.float32))


def test_similarity_is_what_the_model_says(
    model: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = 2 * model.encode(["one", "two"])  # else of unit length
    dot = model.config.__class__(**{**vars(model.config), "similarity": "dot"})
    monkeypatch.setattr(model, "config", dot)
    np.testing.assert_allclose(model.similarity(vectors, vectors), vectors @ vectors.T, rtol=1e-5)
    assert model.similarity(vectors, vectors)[0, 0] == pytest.approx(4, rel=1e-4)


def test_tokens(model: Embedder) -> None:
    (tokens,) = model.tokenize(["what time"])
    assert tokens[0] == "[CLS]"
    assert tokens[-1] == "[SEP]"
    assert "".join(tokens[1:-1]).replace("#", "") == "whattime"
    assert model.count_tokens(["what time"]).tolist() == [len(tokens)]
    long = "time " * 500
    assert model.count_tokens([long])[0] > model.max_seq_length == len(model.tokenize([long])[0])


def test_a_cut_is_said_once_a_call_with_its_count(model: Embedder) -> None:
    texts = ["short", "long " * 300, "longer " * 400, "long " * 300]
    for _ in range(2):  # at every call, also from the same line
        with pytest.warns(TruncationWarning, match="3 of 4 texts are longer than 128") as caught:
            model.encode(texts)
        assert len(caught) == 1
    with pytest.raises(InputError, match=r"text 1 has .* tokens, the model reads 128"):
        model.encode(texts, truncation="error")
    model.encode(texts, truncation="ignore")
    detailed = model.encode_detailed(texts)
    assert detailed.truncated.tolist() == [1, 2, 3]
    assert detailed.lengths.tolist() == [3, 128, 128, 128]


@pytest.mark.parametrize("repeats", [1, 3, 5000])
def test_a_refused_text_is_named_by_its_place_in_the_input(model: Embedder, repeats: int) -> None:
    # Distinct texts before the refused ones fill more than one chunk; repeats come between.
    before = [f"text {number}" for number in range(2500 if repeats == 3 else 1)]
    texts: list[Any] = [*before, *["hi"] * repeats]
    for refused, fault in (
        ("long " * 300, "tokens, the model"),
        (None, "not a string but NoneType"),
    ):
        given: list[Any] = [*texts, refused, "hi", refused]
        with pytest.raises(TextError, match=rf"^text {len(texts)} .*{fault}") as caught:
            model.encode(given, truncation="error", prompt="say: ")
        assert caught.value.index == len(texts)
        assert isinstance(caught.value, TextTooLongError) == (refused is not None)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("odd", [["b"], ("a", "b"), 5, b"bytes", None, {}])
@pytest.mark.parametrize("prompt", ["", "say: "])
def test_an_item_that_is_no_text_is_refused(model: Embedder, odd: object, prompt: str) -> None:
    with pytest.raises(TextError, match=f"^text 1 is not a string but {type(odd).__name__}$"):
        model.encode(["a", odd], prompt=prompt)  # type: ignore[list-item]


@pytest.mark.parametrize("option", ["precision", "truncation"])
def test_an_unknown_choice_is_refused_before_anything_is_embedded(
    model: Embedder, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr(model, "tokenizer", None)
    choice: Any = {option: "maybe"}
    for embed in (model.encode, model.encode_detailed):
        with pytest.raises(InputError, match=f"unknown {option} 'maybe'"):
            embed(["one"], **choice)


def test_a_refused_call_leaves_the_model_usable(model: Embedder) -> None:
    expected = model.encode(["fine"])
    for _ in range(2 * model.engine.requests):
        with pytest.raises(InputError):
            model.encode(["fine"] * 3000 + [f"text {i}" for i in range(4000)] + [None])  # type: ignore[list-item]
    assert (model.encode(["fine"]) == expected).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "cannot keep 0 dimensions"),
        ({"dim": 33}, "from 1 to 32"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"precision": "int4"}, "unknown precision 'int4'"),
        ({"truncation": "maybe"}, "unknown truncation 'maybe'"),
        ({"prompt_name": "query"}, "no prompt 'query'; it has: none"),
    ],
)
def test_bad_options(model: Embedder, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        model.encode(["one"], **options)


def test_precisions(tiny_model: Path, corpus: list[str]) -> None:
    model = Embedder(tiny_model, variant="fp32", cache=False)
    model.ranges = None
    vectors = model.encode(corpus)
    assert (model.encode(corpus, precision="ubinary") == np.packbits(vectors > 0, axis=1)).all()
    with pytest.warns(UserWarning, match="no stored int8 ranges"):
        guessed = model.encode(corpus, precision="int8")
    assert (guessed == quantize_embeddings(vectors, "int8", ranges=fit_ranges(vectors))).all()
    model.fit_ranges(corpus)
    whole = model.encode(corpus, precision="int8")
    parts = [model.encode([text], precision="int8")[0] for text in corpus[:20]]
    # The same text gives the same bytes in any company, but for a level at a rounding edge.
    assert np.abs(whole[:20].astype(int) - np.stack(parts)).max() <= 1


def test_stored_ranges_are_used(tiny_model: Path, corpus: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    model = Embedder(folder, cache=False)
    fitted = model.fit_ranges(corpus)
    fitted.save(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = Embedder(folder, cache=False).encode(corpus[0], precision="uint8")
    # Two loads of one graph may differ in the last bits, and so a code by one.
    expected = model.encode(corpus[0], precision="uint8")
    assert np.abs(again.astype(int) - expected.astype(int)).max() <= 1


def test_prompts(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    prompts = {"query": "question: ", "document": "answer: ", "quiet": ""}
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    model = Embedder(folder, variant="fp32", cache=False)
    asked = model.encode("question: why")
    for vector in (
        model.encode_query("why"),
        model.encode("why", prompt_name="query"),
        model.encode("why", prompt="question: "),
        model.encode("why", prompt_name="document", prompt="question: "),
    ):
        assert (vector == asked).all()
    assert (model.encode_document("why") == model.encode("answer: why")).all()
    assert (model.encode_query("why", prompt_name="quiet") == model.encode("why")).all()
    with pytest.raises(InputError, match="it has: query, document, quiet"):
        model.encode("why", prompt_name="nobody")


def test_a_prompt_may_be_left_out_of_pooling(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    pooling = json.loads((folder / "1_Pooling/config.json").read_text())
    (folder / "1_Pooling/config.json").write_text(json.dumps(pooling | {"include_prompt": False}))
    excluded = Embedder(folder, variant="fp32", cache=False)
    included = Embedder(tiny_model, variant="fp32", cache=False)
    assert not excluded.engine.packed
    assert distance(excluded.encode(["why"]), included.encode(["why"])) <= 1e-5
    prompted = [m.encode(["why"], prompt="question: ") for m in (excluded, included)]
    assert distance(*prompted) > 1e-3


def test_verify_on_request(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    Embedder(folder, verify=True, cache=False)
    weights = folder / "openvino/openvino_model.bin"
    content = bytearray(weights.read_bytes())
    content[100] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"openvino_model\.bin has changed"):
        Embedder(folder, verify=True, cache=False)
    (folder / "edge_embed.json").unlink()
    with pytest.raises(ModelFormatError, match="has no receipt"):
        Embedder(folder, verify=True, cache=False)
    Embedder(folder, cache=False)  # without a receipt a model loads all the same


def test_the_model_cache(tiny_model: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = Embedder(tiny_model, cache=cache).encode("one")
    blobs = list(cache.rglob("*.blob"))
    assert blobs
    np.testing.assert_allclose(Embedder(tiny_model, cache=cache).encode("one"), first, atol=1e-5)
    for blob in blobs:  # a damaged cache is a slower start, not an error
        blob.chmod(0o600)
        blob.write_bytes(blob.read_bytes()[:100])
    assert distance(Embedder(tiny_model, cache=cache).encode("one")[None], first[None]) <= 1e-3


def test_an_unusable_cache_is_said(tiny_model: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.warns(UserWarning, match="compiled models are not cached"):
        model = Embedder(tiny_model, cache=blocked / "cache")
    assert model.encode("one").shape == (32,)


class Repeating:
    """A planner that makes the same batch again and again, whatever the texts."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def plan(self, *_: object, **__: object) -> Iterator[Batch]:
        return iter([self.batch] * 5)


def test_a_failing_inference_hurts_its_own_call_only(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Embedder(tiny_model, variant="fp32", cache=False)
    expected = model.encode(["fine"])
    for error, broken in (
        (KeyError, {"nonsense": np.zeros((1, 8), np.int64)}),
        (
            EdgeEmbedError,
            {
                "input_ids": np.zeros((1, 8), np.int64),
                "segment_ids": np.ones((1, 5), np.int64),
                "position_ids": np.zeros((2, 8), np.int64),
            },
        ),
    ):
        batch = Batch(broken, np.zeros(1, np.int64), np.zeros(1, np.int64))
        monkeypatch.setattr(model, "planner", Repeating(batch))
        for _ in range(2 * model.engine.requests):
            with pytest.raises(error):
                model.encode(["broken"])
    monkeypatch.undo()
    assert (model.encode(["fine"]) == expected).all()


def test_the_engine_says_what_it_chose(model: Embedder) -> None:
    properties = model.engine.properties
    assert properties["INFERENCE_PRECISION_HINT"] == "f32"
    assert int(properties["NUM_STREAMS"]) >= 1
    assert isinstance(model.engine, Engine)


@pytest.mark.real
def test_similarities_make_sense(minilm: Path) -> None:
    model = Embedder(minilm, cache=False)
    texts = ["I forgot my password", "How do I reset my login credentials?", "The cat is asleep"]
    matrix = model.similarity(texts, texts)
    assert matrix[0, 1] > 0.5
    assert matrix[0, 2] < 0.2


@pytest.mark.parametrize("packed", [True, False])
def test_a_warm_model_gives_the_same_vectors(tiny_model: Path, *, packed: bool) -> None:
    cold, warm = (
        Embedder(tiny_model, packed=packed, cache=False, warm_up=warm) for warm in (False, True)
    )
    texts = ["one", "Where can I find the opening hours of the shop?"]
    np.testing.assert_allclose(warm.encode(texts), cold.encode(texts), atol=1e-6)
