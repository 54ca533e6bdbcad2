"""Measures against scikit-learn and scipy, by hand, and as weighted rows."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_embed.evaluation import metrics
from edge_embed.evaluation.bootstrap import Bootstrap

Floats = npt.NDArray[np.float64]

# Few distinct values, so that ties are common.
VALUES = st.integers(-5, 5).map(float)


@st.composite
def labelled(draw: st.DrawFn) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Scores with a positive and a negative row at least."""
    size = draw(st.integers(2, 30))
    labels = draw(arrays(np.bool_, size))
    labels[:2] = True, False
    return labels, draw(arrays(np.float64, size, elements=VALUES))


@st.composite
def weighted(draw: st.DrawFn) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Two columns and how often each row counts."""
    size = draw(st.integers(3, 20))
    column = arrays(np.float64, size, elements=VALUES)
    weights = draw(arrays(np.int64, size, elements=st.integers(0, 3)))
    weights[0] = 1
    return draw(column), draw(column), weights


@settings(deadline=None)
@given(labelled())
def test_average_precision_is_scikit_learns(data: tuple[npt.NDArray[np.bool_], Floats]) -> None:
    reference = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    labels, scores = data
    ours = metrics.average_precision(labels, scores)(np.ones(len(labels)))
    assert ours == pytest.approx(reference.average_precision_score(labels, scores))


@settings(deadline=None)
@given(labelled())
def test_best_f1_is_the_best_of_all_thresholds(data: tuple[npt.NDArray[np.bool_], Floats]) -> None:
    labels, scores = data

    def f1(threshold: float) -> float:
        taken = scores >= threshold
        return float(2 * (taken & labels).sum() / (taken.sum() + labels.sum()))

    ones = np.ones(len(labels))
    best = metrics.best_f1(labels, scores)(ones)
    assert best == pytest.approx(max(f1(threshold) for threshold in np.unique(scores)))
    assert f1(metrics.best_f1_threshold(labels, scores)(ones)) == pytest.approx(best)


def test_f1_threshold_by_hand() -> None:
    labels = np.asarray([True, True, False, True, False])
    scores = np.asarray([0.9, 0.8, 0.6, 0.5, 0.1])
    # Taking four rows: 3 hits of 4 taken and 3 positives, F1 = 6/7.
    assert metrics.best_f1(labels, scores)(np.ones(5)) == pytest.approx(6 / 7)
    assert metrics.best_f1_threshold(labels, scores)(np.ones(5)) == pytest.approx(0.3)


@settings(deadline=None)
@given(weighted())
def test_correlations_are_scipys(data: tuple[Floats, Floats, npt.NDArray[np.int64]]) -> None:
    stats = pytest.importorskip("scipy.stats", reason="needs scipy")
    x, y, weights = data
    repeated_x, repeated_y = np.repeat(x, weights), np.repeat(y, weights)
    pairs = [(metrics.spearman, stats.spearmanr), (metrics.pearson, stats.pearsonr)]
    for ours, reference in pairs:
        value = ours(x, y)(weights.astype(np.float64))
        if np.ptp(repeated_x) == 0 or np.ptp(repeated_y) == 0:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(reference(repeated_x, repeated_y).statistic, abs=1e-9)


@settings(deadline=None)
@given(weighted())
def test_weights_are_repeated_rows(data: tuple[Floats, Floats, npt.NDArray[np.int64]]) -> None:
    scores, other, weights = data
    labels = other > 0
    rows = np.repeat(np.arange(len(weights)), weights)
    measures = [metrics.average_precision, metrics.best_f1]
    if labels[rows].any():  # else every threshold is as bad
        measures.append(metrics.best_f1_threshold)
    for measure in measures:
        whole = measure(labels[rows], scores[rows])(np.ones(len(rows)))
        assert measure(labels, scores)(weights.astype(np.float64)) == pytest.approx(
            whole, nan_ok=True
        )


def test_ranking_measures_by_hand() -> None:
    gains = [0.0, 3.0, 0.0, 1.0]
    ideal = 3 / np.log2(2) + 2 / np.log2(3) + 1 / np.log2(4)
    assert metrics.ndcg(gains, [1.0, 3.0, 2.0]) == pytest.approx(
        (3 / np.log2(3) + 1 / np.log2(5)) / ideal
    )
    assert metrics.recall(gains, 3) == pytest.approx(2 / 3)
    assert metrics.reciprocal_rank(gains) == 0.5
    assert metrics.reciprocal_rank([0.0, 0.0]) == 0.0


@settings(deadline=None)
@given(arrays(np.float64, 10, elements=st.integers(0, 3).map(float)))
def test_ndcg_is_scikit_learns(gains: Floats) -> None:
    reference = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    gains[0] = 1.0
    ranks = -np.arange(10.0)
    assert metrics.ndcg(gains, gains) == pytest.approx(
        reference.ndcg_score(gains[None], ranks[None])
    )


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    bootstrap = Bootstrap(resamples=200, confidence=0.9)
    hits = 0
    for _ in range(100):
        estimate = bootstrap.estimate(bootstrap.replicates(metrics.mean(rng.normal(size=80)), 80))
        hits += estimate.low <= 0 <= estimate.high
    assert 80 <= hits <= 98


def test_a_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).normal(size=50)
    first, again, other = (
        Bootstrap(resamples=50, seed=seed).replicates(metrics.mean(values), 50)
        for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert first[0] == other[0]
    assert (first[1:] != other[1:]).any()
