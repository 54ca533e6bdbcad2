"""The shapes of batches: how wide rows are, and how many of them a batch has.

The cost of a batch is its area in tokens, padding included, so the budget counts tokens, not rows.
Shapes come from a short list: each new shape costs the engine compilation time and memory that it
never gives back, so an unbounded set of shapes is a leak.
"""

from collections.abc import Sequence

__all__ = [
    "LONGEST_WARMED",
    "PACKED_WIDTHS",
    "PADDED_WIDTHS",
    "SHORT_ROW",
    "SNUG_ROW",
    "TOKEN_BUDGET",
    "full_height",
    "shared_budget",
    "snug_width",
    "widths_up_to",
]

# Tokens a batch, padding included. Below 256 the matrix kernels lose a third of their speed; past
# 512 they gain nothing and the caches suffer.
TOKEN_BUDGET = 512

# Row widths for texts of up to so many tokens, when rows are packed.
PACKED_WIDTHS = (64, 128, 256, 512)

# Rows of this width take 4 % less time a token than those of 64, but are harder to fill: they come
# in full batches of full rows only.
SHORT_ROW = 32

# Texts of so many tokens in all go side by side into a single row, even one that is longer than a
# text may be; up to twice as many into two. Attention looks at a whole row, so several are faster:
# a token of 1x256 takes 274 us, one of 4x64 takes 249 us (ALBERT-small, INT8, one core).
SNUG_ROW = 128

# Row widths when each text has its own: fine where most short texts lie, coarser above.
PADDED_WIDTHS = (
    *range(4, 32, 4),
    *range(32, 64, 8),
    *range(64, 128, 16),
    *range(128, 256, 32),
    *range(256, 513, 64),
)

# A warm-up makes no shapes for longer texts: they are rare, and each keeps memory for its length.
LONGEST_WARMED = 512

# Where one batch for each that the engine computes side by side would do, or so many for each, they
# are made equally large, so that none waits for the last one.
_BALANCED_ROUNDS = 4


def widths_up_to(max_length: int, widths: Sequence[int]) -> list[int]:
    """Return the widths that a model of ``max_length`` tokens uses, in order.

    Past the last of ``widths`` they go on doubling: a text of 600 tokens must not take the time and
    the memory of one of 8,192.
    """
    used = {min(width, max_length) for width in widths} | {max_length}
    double = 2 * widths[-1]
    while double < max_length:
        used.add(double)
        double *= 2
    return sorted(used)


def full_height(width: int, budget: int = TOKEN_BUDGET) -> int:
    """Return how many rows of ``width`` tokens a batch has, to hold a budget's tokens."""
    return max(1, min(TOKEN_BUDGET // width, -(-budget // width)))


def shared_budget(tokens: int, side_by_side: int) -> int:
    """Return the tokens of a batch, so that all that are computed side by side end together."""
    rounds = -(-tokens // (side_by_side * TOKEN_BUDGET))
    if side_by_side == 1 or not 0 < rounds <= _BALANCED_ROUNDS:
        return TOKEN_BUDGET
    return min(TOKEN_BUDGET, -(-tokens // (rounds * side_by_side)))


def snug_width(used: int, tile: int) -> int:
    """Return the width of rows on their own: within an eighth of a power of two, whole tiles.

    Such a row is a query that someone waits for, and its time is nearly proportional to its width:
    2.0 ms for 12 tokens, 2.5 ms for 16 (ALBERT-small, two cores, AVX-512). But each further number
    of tokens keeps 3.5 MB.
    """
    step = max(tile, (1 << (used - 1).bit_length()) // 8)
    return -(-used // step) * step
