"""A threshold on the cosine from which two texts are paraphrases, stored with a model.

It is fitted on labelled pairs by ``edge-embed eval pairs --save-threshold``, together with the
probability of a paraphrase as a logistic function of the cosine (Platt 1999).
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.errors import ModelFormatError
from edge_embed.files.atomic import atomic_file
from edge_embed.files.typed_json import typed
from edge_embed.model.consistency import check_fitted_on, source_weights
from edge_embed.model.file_names import PAIR_THRESHOLD
from edge_embed.model.json_files import read_json

__all__ = ["Logistic", "PairThreshold"]

SCHEMA = 1

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Logistic:
    """The probability that a pair is positive: 1 / (1 + exp(-(slope * cosine + intercept)))."""

    slope: float
    intercept: float

    @classmethod
    def fit(cls, cosines: Floats, labels: npt.NDArray[np.bool_]) -> "Logistic":
        """Fit by maximum likelihood with Platt's smoothed targets.

        Args:
            cosines: Shape (pairs,).
            labels: Which pairs are positive, shape (pairs,); both kinds must occur.
        """
        positives = int(np.count_nonzero(labels))
        negatives = len(labels) - positives
        target = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))
        design = np.stack([cosines, np.ones(len(cosines))], axis=1)
        parameters = np.zeros(2)
        for _ in range(100):  # Newton's method; the smoothed likelihood has one maximum
            probability = _sigmoid(design @ parameters)
            gradient = design.T @ (target - probability)
            curvature = probability * (1 - probability)
            hessian = (design * curvature[:, None]).T @ design + 1e-9 * np.eye(2)
            step = np.linalg.solve(hessian, gradient)
            # Limit the step, as Newton's method may overshoot from the start.
            parameters += step / max(1.0, float(np.abs(step).max()) / 10)
            if np.abs(step).max() < 1e-9:
                break
        return cls(float(parameters[0]), float(parameters[1]))

    def probability(self, cosines: npt.ArrayLike) -> Floats:
        """Return the probability for each cosine, float64 of the same shape."""
        return _sigmoid(self.slope * np.asarray(cosines, np.float64) + self.intercept)


@dataclass(frozen=True, kw_only=True)
class PairThreshold:
    """A fitted threshold, and the data that it was fitted on."""

    threshold: float
    """Pairs with at least this cosine are positive; it has the best F1 on the fitting data."""
    logistic: Logistic
    f1: float
    average_precision: float
    variant: str
    """The weights that it was fitted with."""
    dim: int
    """The number of dimensions that it was fitted with."""
    dataset: str
    pairs: int
    positives: int

    def probability(self, cosines: npt.ArrayLike) -> Floats:
        """Return the probability that pairs with these cosines are positive, float64."""
        return self.logistic.probability(cosines)

    def save(self, folder: Path) -> Path:
        """Write ``pair_threshold.json`` into a model folder and return its path.

        Raises:
            OutputError: it cannot be written.
        """
        path = folder / PAIR_THRESHOLD
        with atomic_file(path) as temporary:
            fitted = {"schema": SCHEMA, "weights_sha256": source_weights(folder)}
            content = fitted | asdict(self)
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, folder: Path) -> "PairThreshold | None":
        """Read the threshold of a model folder; None where none was fitted.

        Raises:
            ModelFormatError: the file is damaged, of another model, or newer than this version
                reads.
        """
        path = folder / PAIR_THRESHOLD
        if not path.is_file():
            return None
        content = read_json(path)
        try:
            if typed(int, content["schema"], "schema") > SCHEMA:
                raise ModelFormatError(
                    f"{path} has schema {content['schema']}, newer than this version reads "
                    f"({SCHEMA}); upgrade edge-embed"
                )
            stored = typed(cls, content, "it")
            if not -1 <= stored.threshold <= 1:
                raise ValueError(f"{stored.threshold} is no cosine")
        except (KeyError, ValueError) as error:
            raise ModelFormatError(
                f"{path} is damaged: fit it again with 'edge-embed eval pairs --save-threshold'"
            ) from error
        check_fitted_on(
            path,
            content.get("weights_sha256"),
            command="edge-embed eval pairs --save-threshold",
        )
        return stored


def _sigmoid(values: Floats) -> Floats:
    # By tanh, as exp may overflow.
    return 0.5 * (1 + np.tanh(0.5 * values))
