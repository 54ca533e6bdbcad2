"""The stored threshold and its probability."""

import json
from pathlib import Path

import numpy as np
import pytest

from edge_embed.errors import ModelFormatError
from edge_embed.evaluation.pairs import held_out_probabilities, reliability
from edge_embed.model.file_names import PAIR_THRESHOLD
from edge_embed.model.pair_threshold import Logistic, PairThreshold
from tests.support.thresholds import THRESHOLD


def test_round_trip(tmp_path: Path) -> None:
    assert PairThreshold.load(tmp_path) is None
    path = THRESHOLD.save(tmp_path)
    assert path.name == PAIR_THRESHOLD
    assert PairThreshold.load(tmp_path) == THRESHOLD
    assert THRESHOLD.probability([0.5, 1.0]) == pytest.approx([0.5, 1 / (1 + np.exp(-4))])


@pytest.mark.parametrize(
    "change", [{"threshold": "x"}, {"logistic": 1}, {"schema": 2}, {"f1": None}]
)
def test_damage_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    path = THRESHOLD.save(tmp_path)
    content = json.loads(path.read_text()) | change
    if change == {"f1": None}:
        del content["f1"]
    path.write_text(json.dumps(content))
    with pytest.raises(ModelFormatError, match=PAIR_THRESHOLD):
        PairThreshold.load(tmp_path)


def test_logistic_is_scikit_learns() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model", reason="needs scikit-learn")
    rng = np.random.default_rng(0)
    cosines = rng.uniform(-0.2, 1, 5000)
    labels = rng.uniform(size=5000) < Logistic(7.0, -3.0).probability(cosines)
    ours = Logistic.fit(cosines, labels)
    theirs = linear_model.LogisticRegression(C=1e9).fit(cosines[:, None], labels)
    # Platt's targets differ from 0 and 1 by about 1/2500.
    assert ours.slope == pytest.approx(theirs.coef_[0, 0], rel=0.02)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], rel=0.02)


@pytest.mark.parametrize(
    ("cosines", "labels"),
    [([0.1, 0.9], [False, True]), ([0.5, 0.5], [True, False]), ([0.2, 0.3, 0.9], [True] * 3)],
)
def test_logistic_of_little_data_is_finite(cosines: list[float], labels: list[bool]) -> None:
    curve = Logistic.fit(np.asarray(cosines), np.asarray(labels))
    assert np.isfinite([curve.slope, curve.intercept]).all()
    assert ((curve.probability(cosines) > 0) & (curve.probability(cosines) < 1)).all()


def test_reliability_of_true_probabilities_lies_on_the_diagonal() -> None:
    rng = np.random.default_rng(0)
    cosines = rng.uniform(0, 1, 20_000)
    labels = rng.uniform(size=20_000) < Logistic(6.0, -3.0).probability(cosines)
    bins = reliability(held_out_probabilities(cosines, labels), labels)
    assert len(bins) == 10
    assert sum(bin_.pairs for bin_ in bins) == 20_000
    for bin_ in bins:
        assert bin_.predicted == pytest.approx(bin_.observed, abs=0.04)
