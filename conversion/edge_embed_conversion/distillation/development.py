"""Semantic textual similarity (STS) on a development set, measured during training."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from edge_embed.evaluation.measured import pair_cosines
from edge_embed.evaluation.metrics import spearman
from edge_embed.evaluation.sts import StsSet
from edge_embed_conversion.distillation.batches import tokenize
from edge_embed_conversion.distillation.student import Student

__all__ = ["DevelopmentSet"]

_BATCH_TOKENS = 1024
_THREADS = 2


class DevelopmentSet:
    """Sentence pairs with human scores, never trained on."""

    def __init__(self, file: Path, *, tokenizer: Tokenizer, max_length: int) -> None:
        self._set = StsSet.read(file)
        texts: Sequence[str] = self._set.inputs()["text"]
        self._store = tokenize(texts, tokenizer, max_length=max_length)

    def spearman(self, student: Student, *, passes: int, dtype: torch.dtype) -> float:
        """Return 100 x the Spearman correlation of the student's cosines with the human scores.

        Args:
            student: The encoder.
            passes: How many times the shared layer is applied.
            dtype: Arithmetic of the forward pass.
        """
        device = student.projection.weight.device
        store = self._store
        vectors = np.zeros((len(store), student.shape.hidden_size), np.float32)
        lengths = store.lengths()
        jobs = []
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            size = max(1, _BATCH_TOKENS // int(length))
            jobs += [rows[start : start + size] for start in range(0, len(rows), size)]

        def embed(rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
            with torch.inference_mode():
                ids = np.stack([store.text(row)[: store.max_length] for row in rows])
                tensor = torch.from_numpy(ids.astype(np.int64)).to(device)
                states = student(tensor, passes=passes, dtype=dtype)
                vectors[rows] = states.float().mean(dim=1).cpu().numpy()

        if device.type == "cpu":
            with ThreadPoolExecutor(_THREADS) as pool:
                list(pool.map(embed, jobs))
        else:
            for rows in jobs:
                embed(rows)
        weights = np.ones(self._set.rows)
        return 100 * spearman(pair_cosines(vectors), self._set.scores)(weights)
