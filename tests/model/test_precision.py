"""Smaller vectors: the same numbers as sentence-transformers, and ranges that stay."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.model.file_names import RANGES_FILE
from edge_embed.model.precision import (
    Precision,
    Ranges,
    fit_ranges,
    quantize_embeddings,
)

VECTORS = np.random.default_rng(0).normal(size=(200, 20)).astype(np.float32)


@pytest.mark.parametrize("precision", get_args(Precision))
def test_same_as_sentence_transformers(precision: Precision) -> None:
    util = pytest.importorskip(
        "sentence_transformers.util", reason="needs sentence-transformers for the comparison"
    )
    ranges = fit_ranges(VECTORS[:150])
    ours = quantize_embeddings(VECTORS, precision, ranges=ranges)
    theirs = util.quantize_embeddings(VECTORS, precision, ranges=ranges)
    assert ours.dtype == theirs.dtype
    assert (ours == theirs).all()


def test_values_outside_the_ranges_are_clipped() -> None:
    ranges = np.array([[-1.0], [1.0]], np.float32)
    vectors = np.array([[-9.0], [9.0]], np.float32)
    assert quantize_embeddings(vectors, "int8", ranges=ranges).tolist() == [[-128], [127]]
    assert quantize_embeddings(vectors, "uint8", ranges=ranges).tolist() == [[0], [255]]


def test_a_constant_dimension_does_not_divide_by_zero() -> None:
    vectors = np.ones((3, 2), np.float32)
    assert (
        quantize_embeddings(vectors, "uint8", ranges=fit_ranges(vectors)).tolist() == [[0, 0]] * 3
    )


def test_ranges_are_stored_with_the_model(tmp_path: Path) -> None:
    ranges = Ranges.fit(VECTORS)
    ranges.save(tmp_path)
    loaded = Ranges.load(tmp_path, dim=20)
    assert loaded is not None
    assert loaded.texts == 200
    np.testing.assert_allclose(loaded.plain, ranges.plain, atol=1e-6)
    np.testing.assert_allclose(loaded.normalized, ranges.normalized, atol=1e-6)
    assert (loaded.select(normalize=False, dim=5) == loaded.plain[:, :5]).all()
    with pytest.raises(InputError, match="leave out one of the two"):
        loaded.select(normalize=True, dim=5)


def test_no_ranges(tmp_path: Path) -> None:
    assert Ranges.load(tmp_path, dim=20) is None


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[]",
        '{"texts": 1, "plain": [["1"], ["2"]], "normalized": [[1], [2]]}',
        '{"texts": 1, "plain": [[true], [true]], "normalized": [[1], [2]]}',
        '{"texts": 1, "plain": [], "normalized": []}',
    ],
)
def test_damaged_ranges_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / RANGES_FILE).write_text(content)
    with pytest.raises(ModelFormatError, match=RANGES_FILE):
        Ranges.load(tmp_path, dim=20)


def test_errors() -> None:
    with pytest.raises(InputError, match="needs ranges"):
        quantize_embeddings(VECTORS, "int8")
    with pytest.raises(InputError, match="shape"):
        quantize_embeddings(VECTORS, "int8", ranges=np.zeros((2, 3), np.float32))
    with pytest.raises(InputError, match="unknown precision"):
        quantize_embeddings(VECTORS, "int4")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least 2"):
        fit_ranges(VECTORS[:1])
