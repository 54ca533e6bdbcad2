"""How close two embeddings of the same texts are: cosines, rank correlation, nearest neighbours."""

from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.evaluation.measured import pair_cosines
from edge_embed.evaluation.metrics import spearman
from edge_embed.evaluation.pairs import PairSet
from edge_embed.evaluation.retrieval import search
from edge_embed.model.pair_threshold import Logistic
from edge_embed.model.receipt import Fidelity
from edge_embed.vectors import unit_length
from edge_embed_conversion.calibration import TextSet, shipped_texts

__all__ = ["EvaluationSet", "compare", "loss"]

Floats = npt.NDArray[np.float32]

NEIGHBOURS = 10


@dataclass(frozen=True)
class EvaluationSet:
    """The texts on which variants are measured: varied texts, and labelled paraphrase pairs."""

    texts: TextSet
    pairs: PairSet

    @classmethod
    def shipped(cls) -> "EvaluationSet":
        """Return the set of this package."""
        pairs = resources.files("edge_embed_conversion") / "data" / "evaluation_pairs.tsv"
        return cls(shipped_texts("evaluation"), PairSet.read(Path(str(pairs))))

    @property
    def all_texts(self) -> tuple[str, ...]:
        """The texts to embed."""
        return (*self.texts.texts, *self.pairs.inputs()["text"])

    def compare(self, vectors: Floats, reference: Floats) -> Fidelity:
        """Compare two embeddings of :attr:`all_texts`, float32 (texts, dim) each."""
        size = len(self.texts.texts)
        drift = threshold_drift(vectors[size:], reference[size:], self.pairs.labels)
        return replace(compare(vectors[:size], reference[:size]), threshold_drift=drift)


def loss(fidelity: Fidelity) -> float:
    """Return the loss of a variant in points: 100 x (1 - Spearman correlation of similarities)."""
    return 100 * (1 - fidelity.spearman)


def threshold_drift(
    vectors: Floats, reference: Floats, labels: npt.NDArray[np.bool_]
) -> float | None:
    """Return by how much the best cosine threshold for paraphrases differs from the reference's.

    The threshold is where a logistic regression on the cosine gives probability 0.5: unlike the
    threshold of the best F1, it changes smoothly. None where either embedding does not separate
    the pairs.

    Args:
        vectors: Float32 (2 * pairs, dim): the first texts of all pairs, then the second ones.
        reference: The source's vectors, in the same layout.
        labels: Which pairs are paraphrases, (pairs,).
    """
    curves = [Logistic.fit(pair_cosines(side), labels) for side in (vectors, reference)]
    # Below this slope, a cosine higher by 1 multiplies the odds by less than e: no separation.
    if min(curve.slope for curve in curves) < 1:
        return None
    ours, theirs = (-curve.intercept / curve.slope for curve in curves)
    return ours - theirs


def compare(vectors: Floats, reference: Floats) -> Fidelity:
    """Compare ``vectors`` with ``reference``, both float32 (texts, dim)."""
    ours, theirs = (unit_length(side.astype(np.float64)) for side in (vectors, reference))
    cosines = np.sum(ours * theirs, axis=1)
    pairs = np.triu_indices(len(ours), k=1)
    correlation = spearman((ours @ ours.T)[pairs], (theirs @ theirs.T)[pairs])
    return Fidelity(
        cosine_mean=float(cosines.mean()),
        cosine_p1=float(np.percentile(cosines, 1)),
        cosine_min=float(cosines.min()),
        spearman=correlation(np.ones(len(pairs[0]))),
        neighbour_overlap=_neighbour_overlap(vectors, reference),
    )


def _neighbour_overlap(vectors: Floats, reference: Floats) -> float | None:
    """Return the mean share of each text's nearest neighbours in both; None for too few texts."""
    if len(vectors) <= NEIGHBOURS:
        return None
    # One more than needed, as each text's nearest neighbour is itself.
    ours, theirs = (search(side, side, depth=NEIGHBOURS + 1) for side in (vectors, reference))
    shared = [
        len(set(a) & set(b) - {row}) for row, (a, b) in enumerate(zip(ours, theirs, strict=True))
    ]
    return float(np.mean(shared)) / NEIGHBOURS
