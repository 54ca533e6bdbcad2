"""A cache of the teacher's vectors on disk: each is computed when first needed.

The files are memory-mapped and sparse: they are as long as all texts need, but only what has been
computed takes space on disk. A text's flag is set after its vectors are written, so an interrupted
run leaves no incomplete vectors marked as complete.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed_conversion.distillation.teacher import Teacher, word_count

__all__ = ["TargetCache"]


class TargetCache:
    """Sentence and word vectors of a corpus, computed on demand."""

    def __init__(self, folder: Path, *, teacher: Teacher, texts: Sequence[str]) -> None:
        self._teacher = teacher
        self._texts = texts
        counts = [word_count(text) if teacher.gives_words else 0 for text in texts]
        self._offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        folder.mkdir(parents=True, exist_ok=True)
        dim = teacher.dim
        self._sentences = _map(folder / "sentences.f16", np.float16, (len(texts), dim))
        rows = max(1, int(self._offsets[-1]))
        self._words = _map(folder / "words.f16", np.float16, (rows, dim))
        self._done = _map(folder / "done.u8", np.uint8, (len(texts),))

    def fill(self, rows: npt.NDArray[np.int64]) -> int:
        """Compute the vectors of those texts ``rows`` that lack them; return how many those were.

        ``rows`` is int64 (texts,), indices into the corpus.
        """
        missing = np.unique(rows[self._done[rows] == 0])
        if not len(missing):
            return 0
        targets = self._teacher.targets([self._texts[row] for row in missing])
        self._sentences[missing] = targets.sentences
        if self._teacher.gives_words:
            start = 0
            for row in missing:
                first, last = self._offsets[row], self._offsets[row + 1]
                self._words[first:last] = targets.words[start : start + last - first]
                start += last - first
        self._done[missing] = 1
        return len(missing)

    def sentences(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the sentence vectors of ``rows``, float32 (rows, dim)."""
        return self._sentences[rows].astype(np.float32)

    def words(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the word vectors of ``rows`` one after another, float32 (words, dim)."""
        parts = [self._words[self._offsets[row] : self._offsets[row + 1]] for row in rows]
        return np.concatenate(parts).astype(np.float32)

    def word_counts(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the number of word vectors of each of ``rows``, int64 (rows,)."""
        return self._offsets[rows + 1] - self._offsets[rows]


def _map(
    path: Path, dtype: type[np.float16 | np.uint8], shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not path.is_file() or path.stat().st_size != size:
        return np.memmap(path, dtype=dtype, mode="w+", shape=shape)
    return np.memmap(path, dtype=dtype, mode="r+", shape=shape)
