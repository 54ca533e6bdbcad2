"""Evaluate pair classification: how well the cosine separates paraphrases from other pairs.

Measures are average precision and best F1, as in MTEB's pair classification, the threshold of that
F1, and the calibration error of a probability computed from the cosine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError
from edge_embed.evaluation.compare import Result
from edge_embed.evaluation.files import column_names, dataset_name, table_files, text
from edge_embed.evaluation.measured import Measured, Role, Vectors, pair_cosines
from edge_embed.evaluation.metrics import Floats, average_precision, best_f1, best_f1_threshold
from edge_embed.files.readers import read_records
from edge_embed.model.pair_threshold import Logistic, PairThreshold

__all__ = ["PairSet", "ReliabilityBin", "pair_threshold", "reliability"]

Labels = npt.NDArray[np.bool_]

_LABELS = {"1": True, "0": False, "1.0": True, "0.0": False, "true": True, "false": False}


@dataclass(frozen=True)
class PairSet:
    """Pairs of texts with binary labels."""

    name: str
    first: Sequence[str]
    second: Sequence[str]
    labels: Labels
    """Which pairs are positive, (pairs,)."""
    kinds: Sequence[str] = ()
    """The kind of each pair, such as negation or number; "" if the table has none."""

    @classmethod
    def read(cls, path: str | Path) -> "PairSet":
        """Read a table with the columns ``label`` (0 or 1), ``sentence1`` and ``sentence2``.

        An optional column ``kind`` has the kind of each pair. The tables of a folder are one set.

        Raises:
            InputError: a file is missing or unreadable, a label is neither 0 nor 1, a text is
                empty, or all labels are equal.
        """
        path = Path(path)
        first, second, labels = [], [], []
        kinds: list[str] = []
        for file in table_files(path):
            for record in read_records(
                file, column_names("label", "sentence1", "sentence2", "kind"), optional=["kind"]
            ):
                label = _LABELS.get(record.values["label"].strip().lower())
                if label is None:
                    raise InputError(
                        f"{file}, {record.place}: the label {record.values['label']!r:.40} is "
                        "neither 0 nor 1"
                    )
                labels.append(label)
                first.append(text(record, "sentence1", file))
                second.append(text(record, "sentence2", file))
                kinds.append(record.values.get("kind", ""))
        if len(set(labels)) < 2:
            raise InputError(f"{path}: all labels are {int(labels[0])}; both kinds are needed")
        return cls(dataset_name(path), first, second, np.asarray(labels), kinds)

    @property
    def rows(self) -> int:
        """Number of pairs."""
        return len(self.labels)

    def inputs(self) -> Mapping[Role, Sequence[str]]:
        """Return the first texts of all pairs, then the second ones."""
        return {"text": [*self.first, *self.second]}

    def measure(self, vectors: Mapping[Role, Vectors]) -> Measured:
        """Measure how well cosines separate the labels."""
        return self.measure_scores(pair_cosines(vectors["text"]))

    def measure_scores(self, cosines: Floats) -> Measured:
        """Measure how well scores, cosines or a pair model's, separate the labels."""
        logistic = Logistic.fit(cosines, self.labels)
        bins = reliability(held_out_probabilities(cosines, self.labels), self.labels)
        error = sum(bin_.pairs * abs(bin_.predicted - bin_.observed) for bin_ in bins) / self.rows
        details = {
            "positives": int(np.count_nonzero(self.labels)),
            "logistic": {"slope": logistic.slope, "intercept": logistic.intercept},
            "calibration_error": error,
            "reliability": [vars(bin_) for bin_ in bins],
            "kinds": self._by_kind(cosines),
        }
        metrics = {
            "average_precision": average_precision(self.labels, cosines),
            "f1": best_f1(self.labels, cosines),
            "threshold": best_f1_threshold(self.labels, cosines),
        }
        return Measured(self.rows, metrics, details)

    def _by_kind(self, scores: Floats) -> dict[str, dict[str, float]]:
        """Return the area under the ROC curve for each kind of pair.

        A kind with only one label is compared with all pairs of the other label.
        """
        found = {}
        kinds = np.asarray(self.kinds)
        for kind in sorted(set(self.kinds) - {""}):
            of_kind = kinds == kind
            same, other = of_kind & self.labels, of_kind & ~self.labels
            area = area_under_curve(
                scores[same if same.any() else self.labels],
                scores[other if other.any() else ~self.labels],
            )
            counts = {"pairs": int(of_kind.sum()), "positives": int(same.sum())}
            found[kind] = {**counts, "area_under_curve": area}
        return found


def area_under_curve(positives: Floats, negatives: Floats) -> float:
    """Return the area under the ROC curve: how often a positive scores above a negative."""
    every = np.sort(negatives)
    below = np.searchsorted(every, positives, "left")
    not_above = np.searchsorted(every, positives, "right")
    return float((below + not_above).sum() / 2 / (len(positives) * len(negatives)))


def pair_threshold(result: Result, *, variant: str) -> PairThreshold:
    """Return the threshold to store with a model, from its result on a :class:`PairSet`."""
    details = result.details
    return PairThreshold(
        threshold=result.metrics["threshold"].value,
        logistic=Logistic(**details["logistic"]),
        f1=result.metrics["f1"].value,
        average_precision=result.metrics["average_precision"].value,
        variant=variant,
        dim=result.dim,
        dataset=result.dataset,
        pairs=result.rows,
        positives=details["positives"],
    )


@dataclass
class ReliabilityBin:
    """Pairs of similar predicted probability."""

    predicted: float
    """Their mean predicted probability."""
    observed: float
    """The share of them that is positive."""
    pairs: int


def held_out_probabilities(
    cosines: Floats, labels: Labels, *, folds: int = 5, seed: int = 0
) -> Floats:
    """Return each pair's probability from a logistic curve fitted on the other folds, (pairs,)."""
    folds = min(folds, len(labels))
    fold = np.random.default_rng(seed).permutation(len(labels)) % folds
    probabilities = np.empty(len(labels))
    for number in range(folds):
        held_out = fold == number
        curve = Logistic.fit(cosines[~held_out], labels[~held_out])
        probabilities[held_out] = curve.probability(cosines[held_out])
    return probabilities


def reliability(probabilities: Floats, labels: Labels, *, bins: int = 10) -> list[ReliabilityBin]:
    """Return predicted and observed shares in bins of equal size (Niculescu-Mizil 2005)."""
    order = np.argsort(probabilities, kind="stable")
    return [
        ReliabilityBin(float(probabilities[rows].mean()), float(labels[rows].mean()), len(rows))
        for rows in np.array_split(order, min(bins, len(order)))
    ]
