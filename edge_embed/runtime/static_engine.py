"""Sentence vectors without a transformer: the mean of a vector for each token, in numpy.

Such models are sentence-transformers' StaticEmbedding (static-retrieval-mrl-en-v1) and those of
model2vec (potion-base-8M): a tokenizer and a table of vectors. If the folder also has a row index
and a weight for each token, they are merged into the table. The variant ``static`` works the same
way, with a table derived from a transformer (:mod:`edge_embed.runtime.static_pieces`).
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.errors import ModelFormatError
from edge_embed.files.fork_lock import fork_safe_property
from edge_embed.model.consistency import EmbeddingTables
from edge_embed.model.dense import read_safetensors
from edge_embed.model.modules import HeadStep
from edge_embed.runtime.batch import Batch
from edge_embed.vectors import unit_length

__all__ = ["StaticEngine", "StaticRows", "StaticTable"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

# Most tokens of a batch, so that its vectors take only some MB.
_TOKENS = 1 << 14
# The input of a batch with the number of tokens of each text.
_LENGTHS = "lengths"


@dataclass(frozen=True)
class StaticTable:
    """A vector for each token id, weights included."""

    vectors: Floats | npt.NDArray[np.int8]
    """(ids, dim): float32, or int8 with :attr:`scales`."""
    scales: Floats | None = None
    """The factor of each int8 row, float32 (ids,)."""

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
        """Merge vectors, row indices and weights into one table.

        Args:
            vectors: Float (rows, dim).
            rows: The row of each token id, (ids,); None if ids are row indices.
            weights: The weight of each token id, (ids,); None for equal weights.

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
        """Return the table in int8 with a scale for each row, a quarter of the size."""
        vectors = np.asarray(self.vectors, np.float32)
        scales = np.abs(vectors).max(axis=1, initial=0) / np.float32(127)
        rows = np.rint(vectors / np.where(scales > 0, scales, np.float32(1))[:, None])
        return StaticTable(rows.astype(np.int8), scales.astype(np.float32))

    def means(self, ids: Ints, lengths: Ints) -> Floats:
        """Return the mean vector of each text's tokens, float32 (texts, dim).

        A text without tokens has zeros.

        Args:
            ids: Token ids of all texts, concatenated, int64 (tokens,).
            lengths: Number of tokens of each text, int64 (texts,).
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
    """Puts texts into batches for a table: their token ids concatenated, without padding."""

    def plan(
        self, ids: Sequence[Ints], *, prompt_length: int = 0, side_by_side: int = 1
    ) -> Iterator[Batch]:
        """Yield batches that hold every text once, in order.

        Args:
            ids: Token ids of each text, int64 (tokens,); there may be none.
            prompt_length: Leading tokens of each text that are left out of its mean.
            side_by_side: Ignored, as batches are computed one after another.
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
        """Yield nothing, as no shapes are compiled."""
        yield from ()


class StaticEngine:
    """Embeds with a table; it has the methods of the engine of a transformer."""

    requests = 1
    """Batches computed in parallel."""

    packed = True
    """Whether rows are not padded."""
    why_not_packed = ""

    def __init__(self, table: StaticTable, head: Sequence[HeadStep] = ()) -> None:
        """Make an engine of a table and the steps after the mean."""
        self.table, self._head = table, head
        self.tables = EmbeddingTables(words=len(table))
        self.properties = {"ENGINE": "numpy, no transformer: the mean of a text's token vectors"}

    @fork_safe_property
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
