"""The batching policy: which texts share a batch, and the batch's shape.

The library and the server's dynamic batcher use the same :class:`BatchPlanner`. Widths and heights
are chosen in :mod:`edge_embed.runtime.row_widths`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_embed.files.fork_lock import fork_safe_property
from edge_embed.hardware.machine import instructions
from edge_embed.runtime.batch import Batch
from edge_embed.runtime.packed_rows import PackedRows
from edge_embed.runtime.padded_rows import PaddedRows

__all__ = ["BatchPlanner", "tile_of"]


def tile_of(variant: str) -> int:
    """Return the number of tokens in which widths of packed rows should grow for a variant.

    AMX multiplies tiles of 16 tokens in INT8, so widths that are no multiple of 16 waste time.
    """
    return 16 if variant == "int8" and "amx_int8" in instructions() else 4


@dataclass(frozen=True, kw_only=True)
class BatchPlanner:
    """Puts tokenized texts into batches for one model."""

    max_length: int
    """The model's token limit."""
    pad_id: int
    """Id of the padding token."""
    packed: bool = True
    """Whether a row holds several texts (:mod:`edge_embed.runtime.packed_rows`) or one each
    (:mod:`edge_embed.runtime.padded_rows`)."""
    tile: int = 4
    """Widths of single packed rows are multiples of this (:func:`tile_of`)."""

    def plan(
        self,
        ids: Sequence[npt.NDArray[np.int64]],
        *,
        prompt_length: int = 0,
        side_by_side: int = 1,
    ) -> Iterator[Batch]:
        """Yield batches that hold every text exactly once.

        Args:
            ids: Token ids of each text, int64 (tokens,), at least one and at most
                :attr:`max_length`.
            prompt_length: Leading tokens of each text that are left out of pooling.
            side_by_side: Number of batches that are computed in parallel; a few texts are
                distributed over that number of batches.
        """
        return self._rows.plan(ids, prompt_length=prompt_length, side_by_side=side_by_side)

    def warm_up(self) -> Iterator[Batch]:
        """Yield one batch of every shape that :meth:`plan` can make, of padding tokens."""
        return self._rows.warm_up()

    @fork_safe_property
    def _rows(self) -> PackedRows | PaddedRows:
        if self.packed:
            return PackedRows(max_length=self.max_length, pad_id=self.pad_id, tile=self.tile)
        return PaddedRows(max_length=self.max_length, pad_id=self.pad_id)
