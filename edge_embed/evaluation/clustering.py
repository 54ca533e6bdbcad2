"""Evaluate clustering: V-measure of k-means clusters against labels.

V-measure (Rosenberg & Hirschberg 2007) of mini-batch k-means with as many clusters as labels,
repeated on resamples of the texts, as in MTEB's fast clustering tasks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError, MissingExtraError
from edge_embed.evaluation.files import column_names, dataset_name, table_files, text
from edge_embed.evaluation.measured import Measured, Role, Vectors
from edge_embed.evaluation.metrics import mean
from edge_embed.files.readers import read_records
from edge_embed.vectors import unit_length

__all__ = ["ClusterSet"]

# MTEB's settings: number of clusterings, texts drawn for each, and texts of a k-means step.
_CLUSTERINGS = 10
_DRAWN = 16_384
_BATCH = 512


@dataclass(frozen=True)
class ClusterSet:
    """Texts with a label each."""

    name: str
    texts: Sequence[str]
    labels: npt.NDArray[np.int64]
    """The number of each text's label, from 0: int64 (texts,)."""
    clusterings: int = _CLUSTERINGS
    """How many resamples are clustered; of few labels, ten leave chance a point or two."""

    @classmethod
    def read(cls, path: str | Path) -> "ClusterSet":
        """Read a table with the columns ``label`` and ``text``; the tables of a folder are one set.

        Raises:
            InputError: a file is missing or unreadable, a text is empty, or there is only one
                label.
        """
        path = Path(path)
        rows = [
            (record.values["label"], text(record, "text", file))
            for file in table_files(path)
            for record in read_records(file, column_names("label", "text"))
        ]
        names, labels = np.unique([label for label, _ in rows], return_inverse=True)
        if len(names) < 2:
            raise InputError(f"{path}: all texts have the label {names[0]!s}; two are needed")
        return cls(dataset_name(path), [text_ for _, text_ in rows], labels.astype(np.int64))

    @property
    def rows(self) -> int:
        """Number of texts."""
        return len(self.texts)

    def inputs(self) -> Mapping[Role, Sequence[str]]:
        """Return the texts."""
        return {"text": self.texts}

    def measure(self, vectors: Mapping[Role, Vectors]) -> Measured:
        """Cluster resamples of the texts and compare with the labels.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        try:
            from sklearn.cluster import MiniBatchKMeans
            from sklearn.metrics import v_measure_score
        except ImportError:
            raise MissingExtraError("evaluating clusters", "eval", "scikit-learn") from None
        unit = unit_length(vectors["text"])
        rng = np.random.default_rng(0)
        values = []
        for seed in range(self.clusterings):
            drawn = rng.integers(0, self.rows, min(self.rows, _DRAWN))
            clusters = len(np.unique(self.labels[drawn]))
            k_means = MiniBatchKMeans(clusters, batch_size=_BATCH, n_init="auto", random_state=seed)
            found = k_means.fit_predict(unit[drawn])
            values.append(v_measure_score(self.labels[drawn], found))
        metrics = {"v_measure": mean(np.asarray(values))}
        details = {"clusters": int(self.labels.max()) + 1, "clusterings": values}
        return Measured(self.clusterings, metrics, details)
