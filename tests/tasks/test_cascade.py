"""Candidates for a model by cheaper vectors, on vectors made up for it."""

import numpy as np
import pytest

from edge_embed.tasks import deduplicate
from edge_embed.tasks.deduplication import cascade
from edge_embed.tasks.deduplication.cascade import (
    WANTED,
    deduplicate_candidates,
    find_candidates,
    sample_rows,
)
from edge_embed.tasks.nearest_cosine import cosines_to_all, nearest_cosines
from edge_embed.tasks.vectors import Rows, unit_rows


def make(count: int, copies: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the model's vectors, of which some are near copies, and noisier cheap ones."""
    generator = np.random.default_rng(0)
    model = unit_rows(generator.normal(size=(count, 24)))
    model[-copies:] = model[:copies] + 0.03 * generator.normal(size=(copies, 24))
    return model, model + noise * generator.normal(size=model.shape) / np.sqrt(24)


@pytest.mark.parametrize("start", [0, 300])
def test_the_nearest_cosine_of_each_row(start: int) -> None:
    vectors, _ = make(2500, 400, 0)
    unit = unit_rows(vectors)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -1)
    cosines[:start, :start] = -1
    expected = cosines.max(axis=1)
    rows = Rows(vectors)
    np.testing.assert_allclose(nearest_cosines(rows, start=start), expected, atol=1e-5)
    some = np.array([0, 299, 300, 2499])
    np.testing.assert_allclose(cosines_to_all(rows, some, start=start), expected[some], atol=1e-5)
    found = nearest_cosines(rows, start=start, probe_at=0.9)
    near = expected >= 0.9
    assert np.mean(found[near] >= 0.9 - 2e-3) >= 0.99
    assert (found <= expected + 2e-3).all()


@pytest.mark.parametrize("exact_rows", [100_000, 1000], ids=["products", "inverted file"])
@pytest.mark.parametrize("references", [0, 1500])
def test_the_same_records_go_as_if_all_had_been_read(
    monkeypatch: pytest.MonkeyPatch, exact_rows: int, references: int
) -> None:
    monkeypatch.setattr(cascade, "EXACT_ROWS", exact_rows)
    vectors, cheap = make(4000, 1000, 0.25)
    sample = sample_rows(len(vectors))
    found = find_candidates(Rows(cheap), sample, Rows(vectors[sample]), 0.9, references=references)
    assert not found.why_all
    assert found.recall >= WANTED
    chosen = np.flatnonzero(found.chosen)
    assert len(chosen) < 0.6 * len(vectors)
    order = np.random.default_rng(1).permutation(len(vectors) - references)
    rows = np.concatenate([sample, np.setdiff1d(chosen, sample)])  # as they come to be embedded
    result = deduplicate_candidates(
        vectors[rows],
        rows,
        order,
        threshold=0.9,
        references=references,
        recall=found.recall,
    )
    whole = deduplicate(
        vectors[references:], threshold=0.9, order=order, against=vectors[:references]
    )
    assert len(np.setxor1d(result.kept, whole.kept)) <= 0.005 * len(whole.duplicates)
    same = {pair.row: pair for pair in whole.duplicates}
    kept = {(pair.partner, pair.reference) for pair in whole.duplicates}
    assert sum(same.get(pair.row) == pair for pair in result.duplicates) >= 0.99 * len(same)
    assert any(reference for _, reference in kept) == (references > 0)


def test_all_are_read_where_nothing_can_be_measured_or_left_out() -> None:
    vectors, cheap = make(4000, 20, 0.5)
    sample = sample_rows(len(vectors))
    few = find_candidates(Rows(cheap), sample, Rows(vectors[sample]), 0.9)
    assert few.chosen.all()
    assert "has only" in few.why_all
    vectors, _ = make(4000, 1500, 0)
    blind = np.random.default_rng(2).normal(size=vectors.shape)
    sample = sample_rows(len(vectors))
    all_of_them = find_candidates(Rows(blind), sample, Rows(vectors[sample]), 0.9)
    assert all_of_them.chosen.all()
    assert "of the texts would have to be" in all_of_them.why_all


def test_a_text_of_unknown_pieces_is_a_candidate() -> None:
    vectors, cheap = make(6000, 2000, 0.2)
    cheap[[5, 17]] = 0
    sample = sample_rows(len(vectors))
    found = find_candidates(Rows(cheap), sample, Rows(vectors[sample]), 0.9)
    assert not found.why_all
    assert found.chosen[[5, 17]].all()
