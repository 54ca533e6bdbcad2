"""The mean of token vectors, as sentence-transformers' StaticEmbedding and model2vec have it."""

from pathlib import Path

import numpy as np
import pytest

from edge_embed.errors import ModelFormatError
from edge_embed.runtime.static_engine import StaticEngine, StaticRows, StaticTable


def embed(table: StaticTable, ids: list[np.ndarray], *, prompt_length: int = 0) -> np.ndarray:
    out = np.full((len(ids), table.dim), np.nan, np.float32)
    StaticEngine(table).run(StaticRows().plan(ids, prompt_length=prompt_length), out)
    return out


def test_the_mean_of_each_text() -> None:
    generator = np.random.default_rng(0)
    table = StaticTable(generator.normal(size=(50, 8)).astype(np.float32))
    ids = [generator.integers(0, 50, n) for n in (3, 0, 1, 40_000, 0)]
    expected = [table.vectors[text].mean(axis=0) if len(text) else np.zeros(8) for text in ids]
    np.testing.assert_allclose(embed(table, ids), expected, rtol=1e-3, atol=1e-5)
    expected = [table.vectors[ids[0][2]], *np.zeros((2, 8))]
    found = embed(table, ids[:3], prompt_length=2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert embed(table, []).shape == (0, 8)


def test_int8_rows_have_a_scale_each() -> None:
    generator = np.random.default_rng(0)
    vectors = (generator.normal(size=(50, 64)) * np.logspace(-3, 3, 50)[:, None]).astype(np.float32)
    vectors[7] = 0
    table = StaticTable(vectors).quantized()
    assert (str(table.vectors.dtype), table.dim, len(table)) == ("int8", 64, 50)
    found = embed(table, [np.array([row]) for row in range(50)])
    lengths = np.linalg.norm(vectors, axis=1)
    assert (np.linalg.norm(found - vectors, axis=1) <= 0.01 * lengths).all()


def test_rows_and_weights_are_folded_in() -> None:
    vectors = np.array([[1, 0], [0, 2]], np.float32)
    table = StaticTable.from_arrays(
        vectors, rows=np.array([1, 0, 1]), weights=np.array([1, 2, 3], np.float32)
    )
    assert table.vectors.tolist() == [[0, 2], [2, 0], [0, 6]]
    with pytest.raises(ModelFormatError, match="beyond the 2 vectors"):
        StaticTable.from_arrays(vectors, rows=np.array([2]))
    with pytest.raises(ModelFormatError, match="1 weights for 2 tokens"):
        StaticTable.from_arrays(vectors, weights=np.ones(1, np.float32))


@pytest.mark.parametrize("name", ["embedding.weight", "embeddings"])
def test_both_forms_of_the_file(tmp_path: Path, name: str) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    arrays = {name: np.eye(3, dtype=np.float16)}
    if name == "embeddings":
        arrays |= {"mapping": np.array([2, 0, 1]), "weights": np.array([1, 2, 4], np.float64)}
    safetensors.save_file(arrays, tmp_path / "model.safetensors")
    table = StaticTable.from_safetensors(tmp_path / "model.safetensors")
    expected = np.eye(3) if name == "embedding.weight" else [[0, 0, 1], [2, 0, 0], [0, 4, 0]]
    assert table.vectors.tolist() == np.asarray(expected).tolist()
    safetensors.save_file({"other": np.eye(3)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelFormatError, match="holds no table of token vectors"):
        StaticTable.from_safetensors(tmp_path / "model.safetensors")
