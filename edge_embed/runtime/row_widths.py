"""The shapes of batches: how wide rows are, and how many of them a batch has.

The cost of a batch is its number of tokens, padding included, so the budget counts tokens, not
rows. Shapes come from a short list, since OpenVINO compiles each new shape and never frees its
memory.
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

# Tokens a batch, padding included. Below 256 the matrix kernels lose a third of their speed; above
# 512 they are not faster, and the data no longer fits in the processor's caches.
TOKEN_BUDGET = 512

# Widths of packed rows.
PACKED_WIDTHS = (64, 128, 256, 512)

# Rows of this width take 4 % less time a token than those of 64, but are harder to fill, so they
# are used only for full batches of full rows.
SHORT_ROW = 32

# Texts of up to this many tokens in all go into a single row, even if it is longer than the token
# limit of a text; up to twice as many go into two rows. Longer rows are slower, as attention
# compares all tokens of a row: a token of 1x256 takes 274 us, one of 4x64 takes 249 us
# (ALBERT-small, INT8, one core).
SNUG_ROW = 128

# Widths of padded rows: fine steps where most texts are, coarser ones above.
PADDED_WIDTHS = (
    *range(4, 32, 4),
    *range(32, 64, 8),
    *range(64, 128, 16),
    *range(128, 256, 32),
    *range(256, 513, 64),
)

# A warm-up leaves out shapes for longer texts, which are rare and take much memory each.
LONGEST_WARMED = 512

# If the texts fill at most this many batches for each stream, the batches are made equally large,
# so that all streams end together.
_BALANCED_ROUNDS = 4


def widths_up_to(max_length: int, widths: Sequence[int]) -> list[int]:
    """Return the widths for a model with a limit of ``max_length`` tokens, ascending.

    Above the last of ``widths`` they double, so that a text of 600 tokens does not take the time
    and the memory of one of 8,192.
    """
    used = {min(width, max_length) for width in widths} | {max_length}
    double = 2 * widths[-1]
    while double < max_length:
        used.add(double)
        double *= 2
    return sorted(used)


def full_height(width: int, budget: int = TOKEN_BUDGET) -> int:
    """Return how many rows of ``width`` tokens a batch needs to hold ``budget`` tokens.

    They are at most as many as fit in ``TOKEN_BUDGET``, but at least one.
    """
    return max(1, min(TOKEN_BUDGET // width, -(-budget // width)))


def shared_budget(tokens: int, side_by_side: int) -> int:
    """Return the tokens of a batch, so that batches computed in parallel end together.

    Args:
        tokens: Tokens of all texts.
        side_by_side: Number of batches that are computed in parallel.
    """
    rounds = -(-tokens // (side_by_side * TOKEN_BUDGET))
    if side_by_side == 1 or not 0 < rounds <= _BALANCED_ROUNDS:
        return TOKEN_BUDGET
    return min(TOKEN_BUDGET, -(-tokens // (rounds * side_by_side)))


def snug_width(used: int, tile: int) -> int:
    """Return the width of a single row for ``used`` tokens.

    It is rounded up to an eighth of the next power of two, and to a multiple of ``tile``. Such a
    row is often a query that someone waits for, and its time is nearly proportional to its width:
    2.0 ms for 12 tokens, 2.5 ms for 16 (ALBERT-small, two cores, AVX-512). But each further width
    takes 3.5 MB.
    """
    step = max(tile, (1 << (used - 1).bit_length()) // 8)
    return -(-used // step) * step
