"""The one batching policy: which texts run together, and in which shape.

The cost of a batch is its area in tokens, padding included, so the budget counts tokens, not rows.
Shapes come from a short list: each new shape costs the engine compilation time and memory that it
never gives back, so an unbounded set of shapes is a leak.

:func:`packed_batches` puts several texts side by side in each row and hardly pads.
:func:`padded_batches` gives each text a row of its own, for graphs that cannot be packed.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "POOLING_MASK",
    "TOKENS_A_SLOT",
    "TOKEN_BUDGET",
    "Batch",
    "packed_batches",
    "packed_warm_up",
    "padded_batches",
    "padded_warm_up",
    "slots_in",
]

Ints = npt.NDArray[np.int64]

# Tokens a batch, padding included. Below 256 the matrix kernels lose a third of their speed; past
# 512 they gain nothing and the caches suffer.
TOKEN_BUDGET = 512

# A packed row of so many tokens holds one text at most, on average: the number of results a row
# must be fixed with its shape.
TOKENS_A_SLOT = 4

# The extra input of models whose prompt does not take part in pooling.
POOLING_MASK = "pooling_mask"

# Where one batch for each that the engine computes side by side would do, or so many for each, they
# are made equally large, so that none waits for the last one.
_BALANCED_ROUNDS = 4

# Row widths for texts of up to so many tokens, when rows are packed.
_PACKED_WIDTHS = (64, 128, 256, 512)

# Rows of this width take 4 % less time a token than those of 64, but are harder to fill: they come
# in full batches of full rows only.
_SHORT_ROW = 32

# Texts of so many tokens in all go side by side into a single row, even one that is longer than a
# text may be; up to twice as many into two. Attention looks at a whole row, so several are faster:
# a token of 1x256 takes 274 us, one of 4x64 takes 249 us (ALBERT-small, INT8, one core).
_SNUG_ROW = 128

# Two rows are taken where they are filled to so much of them.
_FILLED = 0.8

# Row widths when each text has its own: fine where most short texts lie, coarser above.
_PADDED_WIDTHS = (
    *range(4, 32, 4),
    *range(32, 64, 8),
    *range(64, 128, 16),
    *range(128, 256, 32),
    *range(256, 513, 64),
)


@dataclass(frozen=True)
class Batch:
    """Model inputs, and where in the output each text's vector is."""

    inputs: dict[str, Ints]
    """Input name to int64 (rows, width)."""
    texts: Ints
    """Indices of the texts, shape (n,)."""
    slots: Ints
    """Index of each text's vector in the output, flattened to (rows * slots, dim); shape (n,)."""


def packed_batches(
    ids: Sequence[Ints], *, max_length: int, pad_id: int, side_by_side: int = 1, tile: int = 4
) -> Iterator[Batch]:
    """Put texts side by side into rows, longest first, always the longest that still fits.

    Args:
        ids: Token ids of each text, int64 (tokens,), from 1 to ``max_length`` of them.
        max_length: Longest text that the model takes.
        pad_id: Id of the padding token.
        side_by_side: Batches that are computed at the same time; few texts are shared among them.
        tile: Tokens that the processor multiplies at once: finer widths would gain nothing.

    Yields:
        Batches with the inputs ``input_ids``, ``segment_ids`` (1, 2, … in each row; 0 is padding)
        and ``position_ids`` (from 0 in each text). Every text is in exactly one.
    """
    lengths = [len(text) for text in ids]
    if snug := _snug_rows(lengths, side_by_side, tile):
        for width, rows in snug:
            yield _packed(rows, (len(rows), width), ids, pad_id)
        return
    budget = _budget(sum(lengths), side_by_side)
    rest = list(range(len(ids)))
    if budget == TOKEN_BUDGET:
        rest = yield from _short_rows(ids, lengths, max_length, pad_id)
    widths = _up_to(max_length, _PACKED_WIDTHS)
    waiting: dict[int, list[list[int]]] = {width: [] for width in widths}
    for width, row in _fill_rows(rest, lengths, widths):
        rows = waiting[width]
        rows.append(row)
        if len(rows) == _full(width, budget):
            yield _packed(rows, (len(rows), width), ids, pad_id)
            waiting[width] = []
    for width, rows in waiting.items():
        if len(rows) == 1:
            used = _room_for([lengths[text] for text in rows[0]])
            yield _packed(rows, (1, min(_snug_width(used, tile), width)), ids, pad_id)
        elif rows:
            yield _packed(rows, (len(rows), width), ids, pad_id)


def padded_batches(
    ids: Sequence[Ints],
    *,
    max_length: int,
    pad_id: int,
    prompt_length: int = 0,
    side_by_side: int = 1,
) -> Iterator[Batch]:
    """Give each text a row of its own, padded to the batch's width, longest first.

    Args:
        ids: Token ids of each text, int64 (tokens,), from 1 to ``max_length`` of them.
        max_length: Longest text that the model takes.
        pad_id: Id of the padding token.
        prompt_length: Leading tokens of each text that :data:`POOLING_MASK` leaves out.
        side_by_side: Batches that are computed at the same time; few texts are shared among them.

    Yields:
        Batches with the inputs ``input_ids``, ``attention_mask`` and :data:`POOLING_MASK`. Every
        text is in exactly one.
    """
    lengths = np.fromiter((len(text) for text in ids), np.int64, len(ids))
    order = np.argsort(-lengths, kind="stable")
    widths = _up_to(max_length, _PADDED_WIDTHS)
    budget = _budget(int(lengths.sum()), side_by_side)
    start = 0
    while start < len(order):
        width = widths[bisect_left(widths, lengths[order[start]])]
        # Heights are powers of two, to keep the number of shapes small.
        full = min(_full(width), 1 << (_full(width, budget) - 1).bit_length())
        stop = min(start + full, len(order))
        # Texts less than half as long would be mostly padding here: leave them to the next batch.
        while stop > start + 1 and 4 * lengths[order[stop - 1]] <= width:
            stop -= 1
        texts = order[start:stop]
        height = min(full, 1 << (len(texts) - 1).bit_length())
        yield _padded(texts, (height, width), ids, pad_id, prompt_length)
        start = stop


def packed_warm_up(*, max_length: int, pad_id: int, tile: int = 4) -> Iterator[Batch]:
    """Yield one batch of every shape that :func:`packed_batches` can make, of padding tokens."""
    shapes = {(1, _snug_width(used, tile)) for used in range(1, _SNUG_ROW + 1)}
    shapes |= {(2, _snug_width(used, tile)) for used in range(_SNUG_ROW // 2 + 1, _SNUG_ROW + 1)}
    for width in _up_to(max_length, _PACKED_WIDTHS):
        shapes |= {(1, min(_snug_width(used, tile), width)) for used in range(1, width + 1)}
        shapes |= {(height, width) for height in range(2, _full(width) + 1)}
    if max_length >= _SHORT_ROW:
        shapes.add((_full(_SHORT_ROW), _SHORT_ROW))
    for height, width in sorted(shapes):
        ids = [np.full(width, pad_id, np.int64)] * height
        yield _packed([[row] for row in range(height)], (height, width), ids, pad_id)


def padded_warm_up(*, max_length: int, pad_id: int) -> Iterator[Batch]:
    """Yield one batch of every shape that :func:`padded_batches` can make, of padding tokens."""
    for width in _up_to(max_length, _PADDED_WIDTHS):
        full = _full(width)
        for rows in sorted({min(full, 1 << power) for power in range(full.bit_length() + 1)}):
            ids = [np.full(width, pad_id, np.int64)] * rows
            yield _padded(np.arange(rows), (rows, width), ids, pad_id, 0)


def slots_in(width: int) -> int:
    """Return how many texts a packed row of ``width`` tokens can hold."""
    return max(1, width // TOKENS_A_SLOT)


def _short_rows(
    ids: Sequence[Ints], lengths: Sequence[int], max_length: int, pad_id: int
) -> Generator[Batch, None, list[int]]:
    """Yield full batches of short rows without padding; return the texts that are left."""
    if max_length < _SHORT_ROW:
        return list(range(len(ids)))
    rest = [text for text, length in enumerate(lengths) if length > _SHORT_ROW]
    short = [text for text, length in enumerate(lengths) if length <= _SHORT_ROW]
    rows: list[list[int]] = []
    for width, row in _fill_rows(short, lengths, [_SHORT_ROW]):
        if sum(lengths[text] for text in row) < width:
            rest += row
            continue
        rows.append(row)
        if len(rows) == _full(width):
            yield _packed(rows, (len(rows), width), ids, pad_id)
            rows = []
    return rest + [text for row in rows for text in row]


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


def _up_to(max_length: int, widths: Sequence[int]) -> list[int]:
    """Return the widths that a model of ``max_length`` tokens uses, in order."""
    return sorted({min(width, max_length) for width in widths} | {max_length})


def _room_for(lengths: Sequence[int]) -> int:
    """Return the tokens that a row needs for texts: theirs, and enough for a slot each."""
    return max(sum(lengths), TOKENS_A_SLOT * len(lengths))


def _full(width: int, budget: int = TOKEN_BUDGET) -> int:
    """Return how many rows of ``width`` tokens a batch has, to hold a budget's tokens."""
    return max(1, min(TOKEN_BUDGET // width, -(-budget // width)))


def _budget(tokens: int, side_by_side: int) -> int:
    """Return the tokens of a batch, so that all that are computed side by side end together."""
    rounds = -(-tokens // (side_by_side * TOKEN_BUDGET))
    if side_by_side == 1 or not 0 < rounds <= _BALANCED_ROUNDS:
        return TOKEN_BUDGET
    return min(TOKEN_BUDGET, -(-tokens // (rounds * side_by_side)))


def _snug_rows(lengths: Sequence[int], count: int, tile: int) -> list[tuple[int, list[list[int]]]]:
    """Deal few texts out to ``count`` batches of a row or two, about equally long.

    Returns width and rows of texts of each; none where the texts are too many or too uneven for it.
    """
    room = _room_for(lengths)
    height = -(-room // (count * _SNUG_ROW))
    if height not in (1, 2):
        return []
    rows: list[list[int]] = [[] for _ in range(min(count * height, len(lengths)))]
    used = [0] * len(rows)
    for text in sorted(range(len(lengths)), key=lambda text: -lengths[text]):
        shortest = used.index(min(used))
        rows[shortest].append(text)
        used[shortest] += max(lengths[text], TOKENS_A_SLOT)
    widths = [_snug_width(_room_for([lengths[text] for text in row]), tile) for row in rows]
    if max(widths) > _SNUG_ROW:
        return []
    if height == 2:
        widths = [max(widths)] * len(rows)
        if room < _FILLED * sum(widths):
            return []
    return [(widths[start], rows[start : start + height]) for start in range(0, len(rows), height)]


def _snug_width(used: int, tile: int) -> int:
    """Return the width of rows on their own: within an eighth of a power of two, whole tiles.

    Such a row is a query that someone waits for, and its time is nearly proportional to its width:
    2.0 ms for 12 tokens, 2.5 ms for 16 (ALBERT-small, two cores, AVX-512). But each further number
    of tokens keeps 3.5 MB.
    """
    step = max(tile, (1 << (used - 1).bit_length()) // 8)
    return -(-used // step) * step


def _packed(
    rows: Sequence[Sequence[int]], shape: tuple[int, int], ids: Sequence[Ints], pad_id: int
) -> Batch:
    input_ids = np.full(shape, pad_id, np.int64)
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
            slots.append(number * slots_in(shape[1]) + segment)
            start = stop
    inputs = {"input_ids": input_ids, "segment_ids": segment_ids, "position_ids": position_ids}
    return Batch(inputs, np.array(texts, np.int64), np.array(slots, np.int64))


def _padded(
    texts: Ints, shape: tuple[int, int], ids: Sequence[Ints], pad_id: int, prompt_length: int
) -> Batch:
    input_ids = np.full(shape, pad_id, np.int64)
    mask = np.zeros(shape, np.int64)
    # Filler rows attend to one padding token, so that no softmax sees an empty row.
    mask[len(texts) :, 0] = 1
    for row, text in enumerate(texts):
        input_ids[row, : len(ids[text])] = ids[text]
        mask[row, : len(ids[text])] = 1
    pooled = mask.copy()
    pooled[:, :prompt_length] = 0
    inputs = {"input_ids": input_ids, "attention_mask": mask, POOLING_MASK: pooled}
    return Batch(inputs, texts, np.arange(len(texts)))


# Positions are read from here instead of being counted anew.
_COUNT = np.arange(1 << 16)
