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
from edge_embed_conversion.distillation.padding import padded_batches

__all__ = ["DevSuite"]


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
        whole = len(student.layers)
        with torch.inference_mode():
            for batch in padded_batches(ids):
                states = student(batch.ids, batch.mask, (whole,), dtype)
                vectors[batch.rows] = states[whole].numpy()
        return vectors
