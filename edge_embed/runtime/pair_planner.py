"""Batches of pairs: those of the batch planner, with token type ids added."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge_embed.runtime.batch import Batch, slots_in
from edge_embed.runtime.pair_graph import TOKEN_TYPES
from edge_embed.runtime.pair_tokenizer import PairIds
from edge_embed.runtime.planner import BatchPlanner

__all__ = ["PairPlanner"]


@dataclass(frozen=True)
class PairPlanner:
    """Puts tokenized pairs into batches for one model."""

    rows: BatchPlanner
    """Plans the batches, each pair as one text."""

    def plan(
        self, ids: Sequence[PairIds], *, prompt_length: int = 0, side_by_side: int = 1
    ) -> Iterator[Batch]:
        """Yield batches that hold every pair exactly once; see :meth:`BatchPlanner.plan`."""
        plain = [pair.ids for pair in ids]
        for batch in self.rows.plan(plain, side_by_side=side_by_side):
            yield self._with_token_types(batch, ids)

    def warm_up(self) -> Iterator[Batch]:
        """Yield one batch of every shape that :meth:`plan` can make, of padding tokens."""
        for batch in self.rows.warm_up():
            types = np.zeros(batch.inputs["input_ids"].shape, np.int64)
            yield replace(batch, inputs={**batch.inputs, TOKEN_TYPES: types})

    def _with_token_types(self, batch: Batch, pairs: Sequence[PairIds]) -> Batch:
        """Add the token type ids: 1 for the second text of a pair, int64 (rows, width)."""
        height, width = batch.inputs["input_ids"].shape
        types = np.zeros((height, width), np.int64)
        slots = slots_in(width) if self.rows.packed else 1
        for text, slot in zip(batch.texts, batch.slots, strict=True):
            row, pair = slot // slots, pairs[text]
            start = 0
            if self.rows.packed:
                start = int(np.argmax(batch.inputs["segment_ids"][row] == slot % slots + 1))
            types[row, start + pair.second : start + len(pair)] = 1
        return replace(batch, inputs={**batch.inputs, TOKEN_TYPES: types})
