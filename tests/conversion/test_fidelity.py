"""What a variant loses against its source, and a conversion that refuses to lose more."""

from pathlib import Path

import numpy as np
import pytest

from edge_embed.errors import EdgeEmbedError, InputError
from edge_embed.model.pair_threshold import Logistic
from edge_embed_conversion.calibration import TextSet, shipped_texts
from edge_embed_conversion.convert import convert
from edge_embed_conversion.fidelity import EvaluationSet, compare, loss, threshold_drift

RNG = np.random.default_rng(0)


def test_nothing_is_lost_against_itself() -> None:
    vectors = RNG.normal(size=(40, 8)).astype(np.float32)
    same = compare(vectors * 3, vectors)  # length does not count
    assert same.cosine_min == pytest.approx(1)
    assert same.spearman == pytest.approx(1)
    assert same.neighbour_overlap == 1
    assert loss(same) == pytest.approx(0, abs=1e-9)


def test_noise_is_seen_by_every_measure() -> None:
    vectors = RNG.normal(size=(100, 16)).astype(np.float32)
    noisy = (vectors + RNG.normal(size=vectors.shape) / 3).astype(np.float32)
    result = compare(noisy, vectors)
    assert result.cosine_min < result.cosine_p1 < result.cosine_mean < 1
    assert result.spearman < 0.99
    assert result.neighbour_overlap is not None
    assert 0.3 < result.neighbour_overlap < 0.95
    assert loss(result) > 1


def test_ten_neighbours_need_more_than_ten_texts() -> None:
    vectors = RNG.normal(size=(10, 4)).astype(np.float32)
    assert compare(vectors, vectors).neighbour_overlap is None


def paired(cosines: np.ndarray) -> np.ndarray:
    """First texts at angle 0, second ones at the angle of their cosine."""
    angles = np.arccos(np.concatenate([np.ones_like(cosines), cosines]))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_threshold_drift_is_the_shift_of_all_cosines() -> None:
    cosines = RNG.uniform(-0.1, 0.9, 500)
    labels = RNG.uniform(size=500) < Logistic(12.0, -6.0).probability(cosines)
    drift = threshold_drift(paired(cosines + 0.05), paired(cosines), labels)
    assert drift == pytest.approx(0.05, abs=1e-4)
    unrelated = RNG.uniform(size=500) < 0.5
    assert threshold_drift(paired(cosines), paired(cosines), unrelated) is None


def test_the_evaluation_set_has_both_kinds_of_pairs() -> None:
    evaluation = EvaluationSet.shipped()
    assert len(evaluation.all_texts) == len(evaluation.texts.texts) + 2 * evaluation.pairs.rows
    assert 0.4 < evaluation.pairs.labels.mean() < 0.6


def test_a_loss_over_the_limit_writes_nothing(tiny_bert_source: Path, tmp_path: Path) -> None:
    few = TextSet("few", shipped_texts("calibration").texts[:8])
    folder = tmp_path / "model"
    with pytest.raises(EdgeEmbedError, match=r"int8 loses .* more than 1e-07: nothing was written"):
        convert(tiny_bert_source, folder, calibration=few, max_loss=1e-7)
    assert not list(tmp_path.iterdir())
    receipt = convert(tiny_bert_source, folder, calibration=few, max_loss=100)
    measured = receipt.variants["int8"].fidelity
    assert measured is not None
    assert measured.neighbour_overlap is not None
    assert measured.neighbour_overlap > 0.5
    with pytest.raises(InputError, match="maximal loss"):
        convert(tiny_bert_source, folder, max_loss=-1)


@pytest.mark.real
def test_trained_weights_keep_neighbours_and_threshold(minilm: Path) -> None:
    from edge_embed.cli.info import describe
    from edge_embed.embedder import Embedder
    from edge_embed.model.receipt import read_receipt

    receipt = read_receipt(minilm)
    assert receipt is not None
    measured = receipt.variants["int8"].fidelity
    assert measured is not None
    assert measured.threshold_drift is not None
    assert measured.neighbour_overlap is not None
    assert abs(measured.threshold_drift) < 0.02
    assert measured.neighbour_overlap > 0.9
    shown = describe(Embedder(minilm, cache=False))["receipt"]["int8 against source"]
    assert "same nearest texts" in shown
    assert "paraphrase threshold" in shown
