"""A cosine that equals the threshold is above it, however the processor rounds."""

import numpy as np
import numpy.typing as npt
import pytest

from edge_embed.tasks import deduplicate, paraphrase_mining
from edge_embed.tasks.clustering.leiden import assign
from edge_embed.vectors import ROUNDING

Floats = npt.NDArray[np.float32]

PAIRS = 60
# Beyond what rounding moves, and beyond what is allowed for it.
ABOVE = 3 * ROUNDING


def pairs_at(threshold: float, seed: int) -> Floats:
    """Pairs of vectors, of any length, whose cosine is the threshold; other pairs are apart."""
    rng = np.random.default_rng(seed)
    first = np.zeros((PAIRS, 2 * PAIRS))
    first[np.arange(PAIRS), 2 * np.arange(PAIRS)] = 1
    second = threshold * first
    second[np.arange(PAIRS), 2 * np.arange(PAIRS) + 1] = np.sqrt(1 - threshold**2)
    rotation = np.linalg.qr(rng.normal(size=(2 * PAIRS, 2 * PAIRS)))[0]
    vectors = np.concatenate([first, second]) @ rotation
    scaled = vectors * rng.uniform(0.1, 10, size=(2 * PAIRS, 1))
    return np.asarray(scaled, np.float32)


@pytest.mark.parametrize("threshold", [0.6, 0.7, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("block", [7, 2048])
def test_deduplication(threshold: float, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_embed.tasks.neighbours._BLOCK", block)
    monkeypatch.setattr("edge_embed.tasks.neighbours._STEP", block + 4)
    for seed in range(2):
        vectors = pairs_at(threshold, seed)
        result = deduplicate(vectors, threshold=threshold)
        assert result.kept.tolist() == list(range(PAIRS))
        looser = deduplicate(vectors, threshold=threshold - 0.1)
        assert looser.rethreshold(threshold).kept.tolist() == list(range(PAIRS))
        against = deduplicate(vectors[PAIRS:], threshold=threshold, against=vectors[:PAIRS])
        assert against.kept.tolist() == []
        if threshold < 1:
            assert len(deduplicate(vectors, threshold=threshold + ABOVE).kept) == 2 * PAIRS


@pytest.mark.parametrize("threshold", [0.6, 0.9, 1.0])
def test_mining(threshold: float) -> None:
    vectors = pairs_at(threshold, 5)
    found = paraphrase_mining(vectors, threshold=threshold)
    assert {(pair.first, pair.second) for pair in found} == {(n, n + PAIRS) for n in range(PAIRS)}
    assert all(pair.score <= 1 for pair in found)
    if threshold < 1:
        assert not paraphrase_mining(vectors, threshold=threshold + ABOVE)


@pytest.mark.parametrize("threshold", [0.6, 0.9, 1.0])
def test_assignment_to_clusters(threshold: float) -> None:
    vectors = pairs_at(threshold, 7)
    centres = vectors[:PAIRS] / np.linalg.norm(vectors[:PAIRS], axis=1, keepdims=True)
    labels, _ = assign(vectors[PAIRS:], centres, threshold)
    assert labels.tolist() == list(range(PAIRS))
