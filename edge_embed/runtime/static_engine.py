"""Sentence vectors without a transformer: the mean of a vector for each token, in numpy.

The form of sentence-transformers' StaticEmbedding (static-retrieval-mrl-en-v1) and of model2vec's
folders (potion-base-8M): a table of vectors, a tokenizer, and where the folder has them a row for
each token and a weight for each, which are folded into one table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.errors import ModelFormatError
from edge_embed.model.dense import read_safetensors

__all__ = ["StaticTable"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

# Token vectors that are summed at a time: a few MB, whatever the number of texts.
_TOKENS = 1 << 14


@dataclass(frozen=True)
class StaticTable:
    """A vector for each token id, float32 (ids, dim), weights included."""

    vectors: Floats

    @property
    def dim(self) -> int:
        """Number of dimensions of a vector."""
        return int(self.vectors.shape[1])

    @classmethod
    def from_arrays(
        cls, vectors: Floats, *, rows: Ints | None = None, weights: Floats | None = None
    ) -> "StaticTable":
        """Fold what a folder states apart into one table.

        Args:
            vectors: Float (rows, dim).
            rows: The row of each token id, (ids,); None where ids are rows.
            weights: The weight of each token id, (ids,); None for equal ones.

        Raises:
            ModelFormatError: the three do not fit together.
        """
        if rows is not None:
            if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(vectors):
                raise ModelFormatError(f"a token's row is beyond the {len(vectors)} vectors")
            vectors = vectors[rows]
        if weights is not None:
            if weights.shape != (len(vectors),):
                raise ModelFormatError(
                    f"there are {len(weights)} weights for {len(vectors)} tokens"
                )
            vectors = vectors * weights[:, None]
        return cls(np.ascontiguousarray(vectors, np.float32))

    @classmethod
    def from_safetensors(cls, file: Path) -> "StaticTable":
        """Read a table as sentence-transformers or model2vec writes it.

        Raises:
            ModelFormatError: the file is missing or damaged, or holds no such table.
        """
        arrays = read_safetensors(file)
        vectors = arrays.get("embedding.weight", arrays.get("embeddings"))
        if vectors is None or vectors.ndim != 2:
            raise ModelFormatError(f"{file} holds no table of token vectors")
        rows = arrays.get("mapping")
        return cls.from_arrays(
            vectors,
            rows=None if rows is None else rows.astype(np.int64),
            weights=arrays.get("weights"),
        )

    def embed(self, ids: Sequence[Ints]) -> Floats:
        """Return the mean vector of each text's tokens, float32 (texts, dim); zeros for none.

        Args:
            ids: Token ids of each text, int64 (tokens,), without special tokens.
        """
        lengths = np.fromiter((len(text) for text in ids), np.int64, len(ids))
        out = np.zeros((len(ids), self.dim), np.float32)
        start = 0
        while start < len(ids):
            stop = start + 1
            tokens = int(lengths[start])
            while stop < len(ids) and tokens + lengths[stop] <= _TOKENS:
                tokens += int(lengths[stop])
                stop += 1
            if tokens:
                self._sum(ids[start:stop], lengths[start:stop], out[start:stop])
            start = stop
        return np.asarray(out / np.maximum(lengths, 1)[:, None], np.float32)

    def _sum(self, ids: Sequence[Ints], lengths: Ints, out: Floats) -> None:
        filled = np.flatnonzero(lengths)
        starts = np.concatenate(([0], np.cumsum(lengths[filled])[:-1]))
        out[filled] = np.add.reduceat(self.vectors[np.concatenate(ids)], starts, axis=0)
