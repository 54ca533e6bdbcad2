"""Development sets by which the best step of a run is chosen: STS and retrieval."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from edge_embed.evaluation.retrieval import RetrievalSet
from edge_embed.evaluation.sts import StsSet
from edge_embed_conversion.console import say
from edge_embed_conversion.distillation.encoder_student import EncoderStudent

__all__ = ["DevSuite"]

_BATCH_TOKENS = 4096


class DevSuite:
    """Development sets, each with one score x 100: Spearman for STS, nDCG@10 for retrieval."""

    def __init__(self, paths: Sequence[str | Path], tokenizer: Tokenizer) -> None:
        """Read the sets: a file is a table of scored pairs, a folder is in BEIR's format.

        Raises:
            InputError: a set cannot be read.
        """
        self._tokenizer = tokenizer
        self._sets: list[StsSet | RetrievalSet] = [
            RetrievalSet.read(path) if Path(path).is_dir() else StsSet.read(Path(path))
            for path in paths
        ]

    def scores(self, student: EncoderStudent, dtype: torch.dtype) -> dict[str, float]:
        """Return each set's score x 100 by its name."""
        scores: dict[str, float] = {}
        for one in self._sets:
            vectors = {
                role: self._embed(student, texts, dtype) for role, texts in one.inputs().items()
            }
            metrics = one.measure(vectors).metrics
            metric = "ndcg@10" if isinstance(one, RetrievalSet) else "spearman"
            scores[one.name] = 100 * metrics[metric](np.ones(one.rows))
        return scores

    def mean(self, student: EncoderStudent, dtype: torch.dtype) -> float:
        """Return the mean score of all sets, and print each to stderr."""
        scores = self.scores(student, dtype)
        say("dev: " + ", ".join(f"{name} {score:.2f}" for name, score in scores.items()))
        return float(np.mean(list(scores.values())))

    def _embed(
        self, student: EncoderStudent, texts: Sequence[str], dtype: torch.dtype
    ) -> npt.NDArray[np.float32]:
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        vectors = np.zeros((len(ids), student.hidden), np.float32)
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        whole = len(student.layers)
        start = 0
        with torch.inference_mode():
            while start < len(order):
                rows = [order[start]]
                for row in order[start + 1 :]:
                    if (len(rows) + 1) * len(ids[row]) > _BATCH_TOKENS:
                        break
                    rows.append(row)
                start += len(rows)
                width = len(ids[rows[-1]])
                padded = torch.zeros(len(rows), width, dtype=torch.int64)
                mask = torch.zeros(len(rows), width, dtype=torch.bool)
                for number, row in enumerate(rows):
                    padded[number, : len(ids[row])] = torch.tensor(ids[row])
                    mask[number, : len(ids[row])] = True
                vectors[rows] = student(padded, mask, (whole,), dtype)[whole].numpy()
        return vectors
