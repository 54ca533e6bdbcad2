"""Batches of packed rows: several texts in each row, with little padding."""

from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edge_embed.runtime.batch import TOKENS_A_SLOT, Batch, Ints, slots_in
from edge_embed.runtime.row_widths import (
    LONGEST_WARMED,
    PACKED_WIDTHS,
    SHORT_ROW,
    SNUG_ROW,
    TOKEN_BUDGET,
    full_height,
    shared_budget,
    snug_width,
    widths_up_to,
)

__all__ = ["PackedRows"]

# Batches of two rows are used if at least this share of their tokens is not padding.
_FILLED = 0.8
# Positions are slices of this array.
_COUNT = np.arange(1 << 16)


@dataclass(frozen=True, kw_only=True)
class PackedRows:
    """Packs texts into rows by best fit: the longest text first, then the longest that still fits.

    Batches have the inputs ``input_ids``, ``segment_ids`` (1, 2, … in each row; 0 is padding) and
    ``position_ids`` (from 0 in each text). The fields are those of
    :class:`~edge_embed.runtime.planner.BatchPlanner`.
    """

    max_length: int
    pad_id: int
    tile: int = 4

    def plan(
        self, ids: Sequence[Ints], *, prompt_length: int = 0, side_by_side: int = 1
    ) -> Iterator[Batch]:
        """Yield batches that hold every text once.

        ``prompt_length`` is ignored: only models whose prompt is pooled too are packed.
        """
        lengths = [len(text) for text in ids]
        if snug := self._snug_rows(lengths, side_by_side):
            for width, rows in snug:
                yield self._batch(rows, width, ids)
            return
        budget = shared_budget(sum(lengths), side_by_side)
        rest = list(range(len(ids)))
        if budget == TOKEN_BUDGET:
            rest = yield from self._short_rows(ids, lengths)
        widths = widths_up_to(self.max_length, PACKED_WIDTHS)
        waiting: dict[int, list[list[int]]] = {width: [] for width in widths}
        for width, row in _fill_rows(rest, lengths, widths):
            rows = waiting[width]
            rows.append(row)
            if len(rows) == full_height(width, budget):
                yield self._batch(rows, width, ids)
                waiting[width] = []
        for width, rows in waiting.items():
            if len(rows) == 1:
                used = _room_for([lengths[text] for text in rows[0]])
                yield self._batch(rows, min(snug_width(used, self.tile), width), ids)
            elif rows:
                yield self._batch(rows, width, ids)

    def warm_up(self) -> Iterator[Batch]:
        """Yield one batch of every shape for texts of up to 512 tokens, of padding tokens."""
        shapes = {(1, snug_width(used, self.tile)) for used in range(1, SNUG_ROW + 1)}
        shapes |= {
            (2, snug_width(used, self.tile)) for used in range(SNUG_ROW // 2 + 1, SNUG_ROW + 1)
        }
        for width in widths_up_to(min(self.max_length, LONGEST_WARMED), PACKED_WIDTHS):
            lengths = range(1, width + 1)
            shapes |= {(1, min(snug_width(used, self.tile), width)) for used in lengths}
            shapes |= {(height, width) for height in range(2, full_height(width) + 1)}
        if self.max_length >= SHORT_ROW:
            shapes.add((full_height(SHORT_ROW), SHORT_ROW))
        for height, width in sorted(shapes):
            ids = [np.full(width, self.pad_id, np.int64)] * height
            yield self._batch([[row] for row in range(height)], width, ids)

    def _short_rows(
        self, ids: Sequence[Ints], lengths: Sequence[int]
    ) -> Generator[Batch, None, list[int]]:
        """Yield full batches of rows of ``SHORT_ROW`` tokens without padding; return the rest."""
        if self.max_length < SHORT_ROW:
            return list(range(len(ids)))
        rest = [text for text, length in enumerate(lengths) if length > SHORT_ROW]
        short = [text for text, length in enumerate(lengths) if length <= SHORT_ROW]
        rows: list[list[int]] = []
        for width, row in _fill_rows(short, lengths, [SHORT_ROW]):
            if sum(lengths[text] for text in row) < width:
                rest += row
                continue
            rows.append(row)
            if len(rows) == full_height(width):
                yield self._batch(rows, width, ids)
                rows = []
        return rest + [text for row in rows for text in row]

    def _snug_rows(self, lengths: Sequence[int], count: int) -> list[tuple[int, list[list[int]]]]:
        """Distribute a few texts over ``count`` batches of one or two rows of about equal length.

        Returns width and rows of each batch; [] if the texts are too many or too unequal.
        """
        room = _room_for(lengths)
        height = -(-room // (count * SNUG_ROW))
        if height not in (1, 2):
            return []
        rows: list[list[int]] = [[] for _ in range(min(count * height, len(lengths)))]
        used = [0] * len(rows)
        for text in sorted(range(len(lengths)), key=lambda text: -lengths[text]):
            shortest = used.index(min(used))
            rows[shortest].append(text)
            used[shortest] += max(lengths[text], TOKENS_A_SLOT)
        rooms = [_room_for([lengths[text] for text in row]) for row in rows]
        widths = [snug_width(tokens, self.tile) for tokens in rooms]
        if max(widths) > SNUG_ROW:
            return []
        if height == 2:
            widths = [max(widths)] * len(rows)
            if room < _FILLED * sum(widths):
                return []
        starts = range(0, len(rows), height)
        return [(widths[start], rows[start : start + height]) for start in starts]

    def _batch(self, rows: Sequence[Sequence[int]], width: int, ids: Sequence[Ints]) -> Batch:
        shape = len(rows), width
        input_ids = np.full(shape, self.pad_id, np.int64)
        segment_ids, position_ids = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        texts, slots = [], []
        for number, row in enumerate(rows):
            start = 0
            for segment, text in enumerate(row):
                stop = start + len(ids[text])
                input_ids[number, start:stop] = ids[text]
                segment_ids[number, start:stop] = segment + 1
                position_ids[number, start:stop] = _COUNT[: stop - start]
                texts.append(text)
                slots.append(number * slots_in(width) + segment)
                start = stop
        inputs = {"input_ids": input_ids, "segment_ids": segment_ids, "position_ids": position_ids}
        return Batch(inputs, np.array(texts, np.int64), np.array(slots, np.int64))


def _fill_rows(
    texts: Sequence[int], lengths: Sequence[int], widths: Sequence[int]
) -> Iterator[tuple[int, list[int]]]:
    """Yield (width, texts) of full rows: best fit, decreasing."""
    by_length: dict[int, list[int]] = {}
    for text in texts:
        by_length.setdefault(lengths[text], []).append(text)
    there = sorted(by_length)
    while there:
        width = widths[bisect_left(widths, there[-1])]
        row: list[int] = []
        room = width
        while len(row) < slots_in(width):
            fits = bisect_right(there, room) - 1
            if fits < 0:
                break
            length = there[fits]
            row.append(by_length[length].pop())
            room -= length
            if not by_length[length]:
                del there[fits]
        yield width, row


def _room_for(lengths: Sequence[int]) -> int:
    """Return the width that a row needs for texts: their tokens, and enough for a slot each."""
    return max(sum(lengths), TOKENS_A_SLOT * len(lengths))
