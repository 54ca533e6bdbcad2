"""Search among vectors: all pairs above a threshold (links), or the nearest neighbours of each.

The search is exact, by matrix products, up to :data:`EXACT_ROWS` vectors, and uses an inverted file
(:mod:`edge_embed.tasks.inverted_file`) for more. Both hold only a block of similarities in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError
from edge_embed.tasks.inverted_file import InvertedFile, bounding_heads
from edge_embed.tasks.vectors import Floats, Rows, pair_cosines
from edge_embed.vectors import ROUNDING

__all__ = ["EXACT_ROWS", "Links", "Nearest", "check_threshold", "nearest"]

EXACT_ROWS = 100_000
"""Up to this many rows every pair is compared; that takes under a minute on two cores."""

Numbers = npt.NDArray[np.int32]
Places = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

# Rows of a block and columns of a step: 32 MB of similarities, large enough for full speed.
_BLOCK = 2048
_STEP = 4096
# Rows that are searched together: more make larger products. A block with too many links is halved.
_PROBE_BLOCK = 8192
_MAX_PROBE_BLOCK = 65_536
# Similarities held at once when rows are compared with a list.
_HELD = 1 << 23
# By how much rounding to float16 may lower a bound or a cosine.
_SLACK = np.float32(2e-3)
# By how much rounding may lower a float32 product of two unit vectors.
_PRODUCT_SLACK = np.float32(1e-5)
# Pairs whose vectors are held at once.
_PAIRS = 1 << 14


@dataclass(frozen=True)
class Links:
    """Pairs of rows whose cosine is above a threshold."""

    left: Numbers
    """Int32 (n,); each is larger than its ``right``."""
    right: Numbers
    """Int32 (n,)."""
    score: Floats
    """Their cosines, float32 (n,)."""

    def __len__(self) -> int:
        return len(self.left)

    def select(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "Links":
        """Return the links that flags or indices choose."""
        return Links(self.left[chosen], self.right[chosen], self.score[chosen])

    @classmethod
    def join(cls, parts: list["Links"]) -> "Links":
        """Concatenate links."""
        if not parts:
            return cls(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))
        return cls(
            np.concatenate([part.left for part in parts]),
            np.concatenate([part.right for part in parts]),
            np.concatenate([part.score for part in parts]),
        )


@dataclass(frozen=True)
class Nearest:
    """The nearest rows of each row."""

    rows: npt.NDArray[np.int32]
    """Int32 (n, k), nearest first; -1 where a row has fewer neighbours."""
    scores: Floats
    """Their cosines, float32 (n, k); 0 where a row has fewer neighbours."""
    recall: float
    """The share of a sample's true neighbours that was found; 1 for an exact search."""


def check_threshold(threshold: float) -> None:
    """Check a threshold on the cosine.

    Raises:
        InputError: it is not above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"the threshold is {threshold}; a cosine from above 0 to 1 is needed")


class LinkSearch:
    """Finds the links of each row to the rows before it, block by block.

    Iterating yields ``(end, links)``: the links whose left row is before ``end`` and was not in an
    earlier block. Between two blocks, rows may be excluded from the rest of the search by
    :attr:`live`.
    """

    def __init__(
        self,
        rows: Rows,
        order: npt.NDArray[np.intp],
        threshold: float,
        *,
        start: int = 0,
        exact: bool | None = None,
    ) -> None:
        """Prepare the search.

        Args:
            rows: The vectors.
            order: A permutation of the rows; links have places in it, not row numbers.
            threshold: The lowest cosine of a link.
            start: Rows before this place are references: they are found, but have no links to each
                other.
            exact: Compare every pair; None does so up to :data:`EXACT_ROWS` rows.
        """
        check_threshold(threshold)
        self._rows, self._order = rows, order
        # A cosine equal to the threshold must not be lost by rounding, such as that of copies, 1.
        self._threshold = np.float32(threshold - ROUNDING)
        self._start = start
        self._exact = len(order) <= EXACT_ROWS if exact is None else exact
        self.live: Flags = np.ones(len(order), np.bool_)
        """Which rows are compared with later ones; clear a flag to exclude a row from then on."""
        self.recall = 1.0
        """The share of a sample's links that was found; 1 for an exact search."""

    def __iter__(self) -> Iterator[tuple[int, Links]]:
        return self._by_products() if self._exact else self._by_inverted_file()

    def _by_products(self) -> Iterator[tuple[int, Links]]:
        unit = self._rows.copy(self._order)
        for start in range(self._start, len(unit), _BLOCK):
            end = min(start + _BLOCK, len(unit))
            block = unit[start:end]
            parts = []
            for first in range(0, end, _STEP):
                last = min(first + _STEP, end)
                columns = np.arange(first, last, dtype=np.int32)
                if last <= start:  # rows of the current block are all compared
                    columns = columns[self.live[first:last]]
                whole = len(columns) == last - first
                scores = block @ (unit[first:last] if whole else unit[columns]).T
                parts.append(
                    self._found(scores, np.arange(start, end, dtype=np.int32), columns, unit)
                )
            yield end, Links.join(parts)

    def _by_inverted_file(self) -> Iterator[tuple[int, Links]]:
        inverted = InvertedFile.fit(self._rows, self._order)
        probes = inverted.probes_for_links(float(self._threshold))
        self.recall = probes.recall
        start, size = self._start, _PROBE_BLOCK
        while start < len(self._order):
            end = min(start + size, len(self._order))
            links = self._in_lists(inverted, probes.count, start, end, few=size > _PROBE_BLOCK)
            if links is None:
                size //= 2
                continue
            yield end, links
            start, size = end, min(2 * size, _MAX_PROBE_BLOCK)

    def _in_lists(
        self, inverted: InvertedFile, count: int, start: int, end: int, *, few: bool
    ) -> Links | None:
        """Return the links of the rows from ``start`` to ``end``.

        With ``few`` the result is None if there are more than memory should hold.
        """
        unit = self._rows.take(self._order[start:end])
        block = inverted.rotate(unit)
        heads = bounding_heads(block)
        parts, found = [], 0
        for number, inside in inverted.probed(block, count):
            members, places = inverted.members(number, before=end)
            wanted = self.live[members] | (members >= start)
            if not wanted.any():
                continue
            their_heads, members = inverted.heads(places)[wanted], members[wanted]
            own_places = places.start + np.flatnonzero(wanted)
            size = max(1, _HELD // len(members))
            for first in range(0, len(inside), size):
                some = inside[first : first + size]
                bounded = heads[some] @ their_heads.T >= self._threshold - _SLACK
                i, j = np.divmod(np.flatnonzero(bounded), len(members))
                before = members[j] < start + some[i]
                left, j = some[i[before]], j[before]
                cosines = _near_cosines(block, left, inverted, own_places[j])
                near = cosines >= self._threshold - _SLACK
                left, right = left[near], members[j[near]]
                scores = self._scores(unit, left, right)
                close = scores >= self._threshold
                numbers = (start + left[close]).astype(np.int32)
                parts.append(Links(numbers, right[close], scores[close]))
                found += len(numbers)
                if few and found > _HELD:
                    return None
        return Links.join(parts)

    def _found(self, products: Floats, left: Numbers, right: Numbers, unit: Floats) -> Links:
        i, j = np.nonzero(products >= self._threshold - _PRODUCT_SLACK)
        before = right[j] < left[i]
        numbers, others = left[i[before]], right[j[before]]
        scores = pair_cosines(unit, numbers, unit, others)
        close = scores >= self._threshold
        return Links(numbers[close], others[close], scores[close])

    def _scores(self, unit: Floats, left: Places, right: Numbers) -> Floats:
        """Return the cosines of rows ``left`` of a block with the rows ``right`` of the order."""
        others, j = np.unique(right, return_inverse=True)
        return pair_cosines(unit, left, self._rows.take(self._order[others]), j)


def _near_cosines(block: Floats, rows: Places, inverted: InvertedFile, places: Places) -> Floats:
    """Return the cosines of rows of a block with vectors at places in the lists, to 1e-3."""
    out = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _PAIRS):
        part = slice(start, start + _PAIRS)
        np.einsum("ij,ij->i", block[rows[part]], inverted.vectors(places[part]), out=out[part])
    return out


def nearest(rows: Rows, k: int, *, exact: bool | None = None) -> Nearest:
    """Return the ``k`` nearest other rows of each row.

    Args:
        rows: The vectors.
        k: How many; at least 1.
        exact: Compare every pair; None does so up to :data:`EXACT_ROWS` rows.

    Raises:
        InputError: ``k`` is below 1, or a vector has NaN or infinite values.
    """
    if k < 1:
        raise InputError(f"k is {k}; at least 1 neighbour is needed")
    count = len(rows)
    found = np.full((count, k), -1, np.int32)
    scores = np.full((count, k), -np.inf, np.float32)
    recall = 1.0
    if exact is None:
        exact = count <= EXACT_ROWS
    order = np.arange(count)
    if exact:
        unit = rows.copy(order)
        for start in range(0, count, _BLOCK):
            block = slice(start, min(start + _BLOCK, count))
            for first in range(0, count, _STEP):
                columns = np.arange(first, min(first + _STEP, count), dtype=np.int32)
                _merge(found, scores, order[block], columns, unit[block] @ unit[columns].T)
    else:
        inverted = InvertedFile.fit(rows, order)
        probes = inverted.probes_for_nearest(k)
        recall = probes.recall
        for start in range(0, count, _PROBE_BLOCK):
            block_rows = order[start : start + _PROBE_BLOCK]
            block_unit = inverted.rotate(rows.take(block_rows))
            for number, inside in inverted.probed(block_unit, probes.count):
                members, places = inverted.members(number)
                unit = inverted.vectors(places)
                size = max(1, _HELD // max(1, len(members)))
                for first in range(0, len(inside), size):
                    some = inside[first : first + size]
                    _merge(found, scores, start + some, members, block_unit[some] @ unit.T)
    _rescore(rows, found, scores)
    return Nearest(found, np.where(found < 0, np.float32(0), scores), recall)


def _rescore(rows: Rows, found: Numbers, scores: Floats) -> None:
    """Replace the products by cosines in double precision, and sort by them, in place."""
    for start in range(0, len(found), _BLOCK):
        block = slice(start, start + _BLOCK)
        i, column = np.nonzero(found[block] >= 0)
        others, j = np.unique(found[block][i, column], return_inverse=True)
        unit = rows.take(np.arange(start, min(start + _BLOCK, len(found))))
        scores[block][i, column] = pair_cosines(unit, i, rows.take(others), j)
        best = np.lexsort((found[block], -scores[block]), axis=1)
        found[block] = np.take_along_axis(found[block], best, axis=1)
        scores[block] = np.take_along_axis(scores[block], best, axis=1)


def _merge(
    found: npt.NDArray[np.int32],
    scores: Floats,
    rows: npt.NDArray[np.intp],
    columns: Numbers,
    products: Floats,
) -> None:
    """Keep the k best of the neighbours that ``rows`` have and of ``columns``, in place.

    ``products`` are the cosines, (rows, columns); ties are decided by the lower number.
    """
    k = found.shape[1]
    products[rows[:, None] == columns[None, :]] = -np.inf  # no row is its own neighbour
    if len(columns) > k:
        best = np.argpartition(-products, k - 1, axis=1)[:, :k]
        products = np.take_along_axis(products, best, axis=1)
        numbers = columns[best]
    else:
        numbers = np.broadcast_to(columns, products.shape)
    all_numbers = np.concatenate([found[rows], numbers], axis=1)
    all_scores = np.concatenate([scores[rows], products], axis=1)
    all_numbers = np.where(np.isneginf(all_scores), np.int32(-1), all_numbers)
    chosen = np.lexsort((all_numbers, -all_scores), axis=1)[:, :k]
    found[rows] = np.take_along_axis(all_numbers, chosen, axis=1)
    scores[rows] = np.take_along_axis(all_scores, chosen, axis=1)
