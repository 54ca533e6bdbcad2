"""Comparing vectors, each way against its definition."""

from typing import get_args

import numpy as np
import pytest

from edge_embed.vectors import Similarity, row_cosines, similarities

DEFINITIONS = {
    "cosine": lambda a, b: a @ b / (np.linalg.norm(a) * np.linalg.norm(b)),
    "dot": lambda a, b: a @ b,
    "euclidean": lambda a, b: -np.sqrt(((a - b) ** 2).sum()),
    "manhattan": lambda a, b: -np.abs(a - b).sum(),
}


@pytest.mark.parametrize("by", get_args(Similarity))
def test_each_way_to_compare(by: Similarity) -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=(rows, 5)).astype(np.float32) for rows in (3, 4))
    found = similarities(first, second, by)
    expected = [[DEFINITIONS[by](a, b) for b in second] for a in first]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert similarities(first[:0], second, by).shape == (0, 4)


def test_the_cosine_of_a_vector_with_itself_is_not_above_one() -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 384)).astype(np.float32)
    assert similarities(vectors, vectors).max() <= 1


def test_cosines_of_rows_stay_in_their_range() -> None:
    rows = np.random.default_rng(0).normal(size=(2000, 384)).astype(np.float32)
    for other, sign in ((rows, 1), (-3 * rows, -1)):
        cosines = row_cosines(rows, other)
        np.testing.assert_allclose(cosines, sign, atol=1e-5)
        assert np.abs(cosines).max() <= 1
