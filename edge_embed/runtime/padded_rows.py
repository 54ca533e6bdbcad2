"""Batches of padded rows: one text in each row, for graphs that cannot be packed."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edge_embed.runtime.batch import POOLING_MASK, Batch, Ints
from edge_embed.runtime.row_widths import (
    LONGEST_WARMED,
    PADDED_WIDTHS,
    full_height,
    shared_budget,
    widths_up_to,
)

__all__ = ["PaddedRows"]


@dataclass(frozen=True, kw_only=True)
class PaddedRows:
    """Puts each text into a row of its own, padded to the batch's width; the longest texts first.

    Batches have the inputs ``input_ids``, ``attention_mask`` and :data:`POOLING_MASK`. The fields
    are those of :class:`~edge_embed.runtime.planner.BatchPlanner`.
    """

    max_length: int
    pad_id: int

    def plan(
        self, ids: Sequence[Ints], *, prompt_length: int = 0, side_by_side: int = 1
    ) -> Iterator[Batch]:
        """Yield batches that hold every text once.

        :data:`POOLING_MASK` leaves out the first ``prompt_length`` tokens of each text.
        """
        lengths = np.fromiter((len(text) for text in ids), np.int64, len(ids))
        order = np.argsort(-lengths, kind="stable")
        widths = widths_up_to(self.max_length, PADDED_WIDTHS)
        budget = shared_budget(int(lengths.sum()), side_by_side)
        start = 0
        while start < len(order):
            width = widths[bisect_left(widths, lengths[order[start]])]
            # Heights are powers of two, to keep the number of shapes small.
            full = min(full_height(width), 1 << (full_height(width, budget) - 1).bit_length())
            stop = min(start + full, len(order))
            # Much shorter texts would be mostly padding: leave them to the next batch.
            while stop > start + 1 and 4 * lengths[order[stop - 1]] <= width:
                stop -= 1
            texts = order[start:stop]
            height = min(full, 1 << (len(texts) - 1).bit_length())
            yield self._batch(texts, (height, width), ids, prompt_length)
            start = stop

    def warm_up(self) -> Iterator[Batch]:
        """Yield one batch of every shape for texts of up to 512 tokens, of padding tokens."""
        for width in widths_up_to(min(self.max_length, LONGEST_WARMED), PADDED_WIDTHS):
            full = full_height(width)
            for rows in sorted({min(full, 1 << power) for power in range(full.bit_length() + 1)}):
                ids = [np.full(width, self.pad_id, np.int64)] * rows
                yield self._batch(np.arange(rows), (rows, width), ids, 0)

    def _batch(
        self, texts: Ints, shape: tuple[int, int], ids: Sequence[Ints], prompt_length: int
    ) -> Batch:
        input_ids = np.full(shape, self.pad_id, np.int64)
        mask = np.zeros(shape, np.int64)
        # Empty rows attend to one padding token, as the softmax of none would be NaN.
        mask[len(texts) :, 0] = 1
        for row, text in enumerate(texts):
            input_ids[row, : len(ids[text])] = ids[text]
            mask[row, : len(ids[text])] = 1
        pooled = mask.copy()
        pooled[:, :prompt_length] = 0
        inputs = {"input_ids": input_ids, "attention_mask": mask, POOLING_MASK: pooled}
        return Batch(inputs, texts, np.arange(len(texts)))
