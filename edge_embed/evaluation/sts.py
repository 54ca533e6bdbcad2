"""Evaluate semantic textual similarity: correlation of the cosine with human scores.

The measures of the SemEval STS tasks (Agirre et al. 2012; Cer et al. 2017), as in MTEB, over all
pairs of the set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_embed.errors import InputError
from edge_embed.evaluation.files import column_names, dataset_name, number, table_files, text
from edge_embed.evaluation.measured import Measured, Role, Vectors, pair_cosines
from edge_embed.evaluation.metrics import Floats, pearson, spearman
from edge_embed.files.readers import read_records

__all__ = ["StsSet"]


@dataclass(frozen=True)
class StsSet:
    """Pairs of sentences with human similarity scores."""

    name: str
    first: Sequence[str]
    second: Sequence[str]
    scores: Floats

    @classmethod
    def read(cls, path: str | Path) -> "StsSet":
        """Read a table with the columns ``score``, ``sentence1`` and ``sentence2``.

        The tables of a folder are one set, as in the yearly STS tasks.

        Raises:
            InputError: a file is missing or unreadable, a score is not a number, a sentence is
                empty, or all scores are equal.
        """
        path = Path(path)
        first, second, scores = [], [], []
        for file in table_files(path):
            for record in read_records(file, column_names("score", "sentence1", "sentence2")):
                scores.append(number(record, "score", file))
                first.append(text(record, "sentence1", file))
                second.append(text(record, "sentence2", file))
        if min(scores) == max(scores):
            raise InputError(f"{path}: all scores are equal, so there is nothing to correlate")
        return cls(dataset_name(path), first, second, np.asarray(scores))

    @property
    def rows(self) -> int:
        """Number of pairs."""
        return len(self.scores)

    def inputs(self) -> Mapping[Role, Sequence[str]]:
        """Return the first sentences of all pairs, then the second ones."""
        return {"text": [*self.first, *self.second]}

    def spearman(self, vectors: Vectors) -> float:
        """Return Spearman's correlation of all pairs for vectors of :meth:`inputs`."""
        return spearman(pair_cosines(vectors), self.scores)(np.ones(self.rows))

    def measure(self, vectors: Mapping[Role, Vectors]) -> Measured:
        """Measure the correlation of cosines with the scores."""
        cosines = pair_cosines(vectors["text"])
        metrics = {
            "spearman": spearman(cosines, self.scores),
            "pearson": pearson(cosines, self.scores),
        }
        return Measured(self.rows, metrics, {})
