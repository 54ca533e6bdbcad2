"""The variant ``static``: token vectors derived from a transformer, averaged."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_embed import Embedder, InputError
from edge_embed.model.fingerprint import model_fingerprint
from edge_embed.runtime import static_pieces
from edge_embed.runtime.static_engine import StaticEngine


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("static-cache")


@pytest.fixture(scope="module")
def static(tiny_model: Path, cache: Path) -> Embedder:
    return Embedder(tiny_model, variant="static", cache=cache)


def test_a_text_is_the_weighted_mean_of_what_the_model_says_of_its_pieces(
    static: Embedder, tiny_model: Path, corpus: list[str]
) -> None:
    model = Embedder(tiny_model, cache=False)
    assert (static.variant, static.dim) == ("static", model.dim)
    assert static.config.normalize
    assert isinstance(static.engine, StaticEngine)
    table = np.asarray(static.engine.table.vectors)
    before, after = model.tokenizer.before, model.tokenizer.after
    words = ["of", "with", "the"]
    read = model.tokenizer(words).ids
    assert [len(ids) for ids in read] == [3, 3, 3], "not all are pieces of the vocabulary"
    rows = [int(ids[1]) for ids in read]
    # Around the mean of all pieces, whose axes were turned: inner products are what they were.
    ids = [np.array([*before, piece, *after]) for piece in range(len(table))]
    alone = np.empty((len(table), model.dim), np.float32)
    model.engine.run(model.planner.plan(ids), alone)
    alone = (alone - alone.mean(axis=0))[rows]
    lengths = np.linalg.norm(table[rows], axis=1) / np.linalg.norm(alone, axis=1)
    turned = table[rows] / lengths[:, None]
    np.testing.assert_allclose(turned @ turned.T, alone @ alone.T, atol=0.02)
    assert lengths[2] < lengths[0] < lengths[1] < 0.3, "what is frequent weighs little"
    text = " ".join(words)
    mean = table[rows].mean(axis=0)
    np.testing.assert_allclose(static.encode(text), mean / np.linalg.norm(mean), atol=1e-5)
    # As for any model: order, company and empty texts change nothing.
    vectors = static.encode([*corpus[:50], ""])
    assert not vectors[-1].any()
    np.testing.assert_array_equal(static.encode(corpus[49::-1]), vectors[:50][::-1])


def test_the_table_is_made_once_and_told_apart(
    static: Embedder,
    tiny_model: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = Embedder(tiny_model, cache=False)
    assert model_fingerprint(static) != model_fingerprint(other)
    texts = ["Reset my password", "Opening hours"]
    (entry,) = cache.glob("static-*")
    assert {file.name for file in entry.iterdir()} == {"static.blob", "checksums.json"}

    def never(*_: object) -> None:
        raise AssertionError("the model was loaded")

    with monkeypatch.context() as patch:
        patch.setattr("edge_embed.runtime.encoder.Engine", never)
        again = Embedder(tiny_model, variant="static", cache=cache)
    np.testing.assert_array_equal(again.encode(texts), static.encode(texts))
    assert model_fingerprint(again) == model_fingerprint(static)
    whole = (entry / "static.blob").read_bytes()
    (entry / "static.blob").write_bytes(whole[: len(whole) // 2])  # made anew where it is damaged
    mended = Embedder(tiny_model, variant="static", cache=cache)
    np.testing.assert_allclose(mended.encode(texts), static.encode(texts), atol=1e-2)
    fresh = Embedder(tiny_model, variant="static", cache=False)
    np.testing.assert_allclose(fresh.encode(texts), static.encode(texts), atol=1e-2)


def test_what_static_vectors_have_not(static: Embedder, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="int8, w8, fp16, fp32, static"):
        Embedder(tiny_model, variant="statics")
    texts = tmp_path / "texts.txt"
    texts.write_text("one\ntwo\nthree\n")
    command = [sys.executable, "-m", "edge_embed", "ranges", "-m", str(tiny_model)]
    command += ["--variant", "static", "-i", str(texts), "--no-cache"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert ended.returncode == 1
    assert "not for static vectors" in ended.stderr
    assert static.ranges is None


def test_counts_of_texts_weigh_what_is_frequent_in_them(tiny_model: Path, cache: Path) -> None:
    model = Embedder(tiny_model, cache=False)
    pieces = static_pieces.static_pieces(model.config, model.runtime, model.variant, lambda: model)
    shares = pieces.shares_in(["of of", "of the"])
    often, once = (int(ids[0]) for ids in pieces.tokenizer(["of", "the"]).ids)
    assert (shares[often], shares[once]) == (0.75, 0.25)
    assert shares.sum() == pytest.approx(1)
    assert pieces.english.sum() == pytest.approx(1, abs=1e-3)
    one, two = pieces.embed(pieces.engine(shares), ["of", "of the"])
    assert one.shape == two.shape == (pieces.config.dim,)
