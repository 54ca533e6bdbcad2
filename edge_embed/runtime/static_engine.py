"""Sentence vectors without a transformer: the mean of a vector for each token, in numpy.

The form of sentence-transformers' StaticEmbedding (static-retrieval-mrl-en-v1) and of model2vec's
folders (potion-base-8M): a table of vectors, a tokenizer, and where the folder has them a row for
each token and a weight for each, which are folded into one table. And that of the variant
``static``, whose table is derived from a transformer (:mod:`edge_embed.runtime.static_pieces`).
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.errors import ModelFormatError
from edge_embed.model.consistency import EmbeddingTables
from edge_embed.model.dense import read_safetensors
from edge_embed.model.modules import HeadStep
from edge_embed.runtime.batch import Batch
from edge_embed.vectors import unit_length

__all__ = ["StaticEngine", "StaticRows", "StaticTable"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

# Token vectors that are summed at a time: a few MB, whatever the number of texts.
_TOKENS = 1 << 14
# Of each text, in a batch.
_LENGTHS = "lengths"


@dataclass(frozen=True)
class StaticTable:
    """A vector for each token id, weights included."""

    vectors: Floats | npt.NDArray[np.int8]
    """(ids, dim): float32, or int8 with :attr:`scales`."""
    scales: Floats | None = None
    """What a row of int8 is multiplied with, float32 (ids,)."""

    def __len__(self) -> int:
        return len(self.vectors)

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
        """Read a table as sentence-transformers, model2vec or ``edge-embed convert`` writes it.

        Raises:
            ModelFormatError: the file is missing or damaged, or holds no such table.
        """
        arrays = read_safetensors(file)
        vectors = arrays.get("embedding.weight", arrays.get("embeddings"))
        if vectors is None or vectors.ndim != 2:
            raise ModelFormatError(f"{file} holds no table of token vectors")
        if (scales := arrays.get("scales")) is not None:
            if scales.shape != (len(vectors),):
                raise ModelFormatError(f"{file} holds {len(scales)} scales for {len(vectors)} rows")
            return cls(vectors.astype(np.int8), scales)
        rows = arrays.get("mapping")
        return cls.from_arrays(
            vectors,
            rows=None if rows is None else rows.astype(np.int64),
            weights=arrays.get("weights"),
        )

    def quantized(self) -> "StaticTable":
        """Return the table in int8, each row with a scale of its own: a quarter of the size."""
        vectors = np.asarray(self.vectors, np.float32)
        scales = np.abs(vectors).max(axis=1, initial=0) / np.float32(127)
        rows = np.rint(vectors / np.where(scales > 0, scales, np.float32(1))[:, None])
        return StaticTable(rows.astype(np.int8), scales.astype(np.float32))

    def means(self, ids: Ints, lengths: Ints) -> Floats:
        """Return the mean vector of each text's tokens, float32 (texts, dim); zeros for none.

        Args:
            ids: Token ids of all texts, end to end, int64 (tokens,).
            lengths: How many are of each text, int64 (texts,).
        """
        out = np.zeros((len(lengths), self.dim), np.float32)
        if len(ids):
            filled = np.flatnonzero(lengths)
            starts = np.concatenate(([0], np.cumsum(lengths[filled])[:-1]))
            rows = np.asarray(self.vectors[ids], np.float32)
            if self.scales is not None:
                rows *= self.scales[ids][:, None]
            out[filled] = np.add.reduceat(rows, starts, axis=0)
            out[filled] /= lengths[filled, None]
        return out


@dataclass(frozen=True)
class StaticRows:
    """Puts texts into batches for a table: their tokens end to end, without padding."""

    def plan(
        self, ids: Sequence[Ints], *, prompt_length: int = 0, side_by_side: int = 1
    ) -> Iterator[Batch]:
        """Yield batches that hold every text once, in order.

        Args:
            ids: Token ids of each text, int64 (tokens,); there may be none.
            prompt_length: Leading tokens of each text that its mean leaves out.
            side_by_side: Without effect: batches are computed one after another.
        """
        start = 0
        while start < len(ids):
            stop, tokens = start, 0
            while stop < len(ids) and (stop == start or tokens + len(ids[stop]) <= _TOKENS):
                tokens += len(ids[stop])
                stop += 1
            some = [text[prompt_length:] for text in ids[start:stop]]
            lengths = np.fromiter(map(len, some), np.int64, len(some))
            texts = np.arange(start, stop)
            inputs = {"input_ids": np.concatenate(some), _LENGTHS: lengths}
            yield Batch(inputs, texts, texts - start)
            start = stop

    def warm_up(self) -> Iterator[Batch]:
        """Yield nothing: there is nothing to compile."""
        yield from ()


class StaticEngine:
    """A table and what follows the mean, with the methods of the engine of a transformer."""

    requests = 1
    """Batches computed side by side."""
    packed = True
    """Nothing is padded."""
    why_not_packed = ""

    def __init__(self, table: StaticTable, head: Sequence[HeadStep] = ()) -> None:
        """Take a table, and the steps after the mean."""
        self.table, self._head = table, head
        self.tables = EmbeddingTables(words=len(table))
        self.properties = {"ENGINE": "numpy, no transformer: the mean of a text's token vectors"}

    @cached_property
    def digest(self) -> str:
        """A hash of the table, 64 hexadecimal digits."""
        return hashlib.sha256(np.ascontiguousarray(self.table.vectors).tobytes()).hexdigest()

    def run(self, batches: Iterable[Batch], out: Floats) -> None:
        """Embed ``batches``, writing each text's vector to its row of ``out``.

        Args:
            batches: Of :class:`StaticRows`.
            out: Float32 (texts, dim), written in place.
        """
        for batch in batches:
            vectors = self.table.means(batch.inputs["input_ids"], batch.inputs[_LENGTHS])
            for step in self._head:
                vectors = unit_length(vectors) if step == "normalize" else step.apply(vectors)
            out[batch.texts] = vectors[batch.slots, : out.shape[1]]
