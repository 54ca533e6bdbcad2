"""The cosine of each vector with its nearest neighbour, without finding which one that is.

This is cheaper than a search for neighbours: half of the products, and no lists of pairs, of which
texts made from a template have millions.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from edge_embed.tasks.inverted_file import InvertedFile
from edge_embed.tasks.vectors import Floats, Rows

__all__ = ["cosines_to_all", "nearest_cosines"]

Indices = npt.NDArray[np.intp]

# Rows of a block and columns of a step: 32 MB of similarities.
_BLOCK = 2048
_STEP = 4096
_PROBE_BLOCK = 65_536
# Similarities held at once when rows are compared with a list.
_HELD = 1 << 23


def nearest_cosines(rows: Rows, *, start: int = 0, probe_at: float | None = None) -> Floats:
    """Return the highest cosine of each row with another, float32 (n,); -1 if there is no other.

    Args:
        rows: The vectors.
        start: Rows before this one are not compared with each other.
        probe_at: None compares every pair. A cosine searches an inverted file, which finds 0.995
            of a sample's pairs above that cosine.
    """
    near = np.full(len(rows), -1, np.float32)
    if len(rows) > start:
        if probe_at is None:
            _by_products(rows, start, near)
        else:
            _by_inverted_file(rows, start, probe_at, near)
    return near


def cosines_to_all(rows: Rows, some: Indices, *, start: int = 0) -> Floats:
    """Return the highest cosine of the rows ``some`` with any other, exactly: float32 (len(some),).

    Args:
        rows: The vectors.
        some: Indices of rows.
        start: Rows before this one are not compared with each other.
    """
    unit = rows.take(some)
    near = np.full(len(some), -1, np.float32)
    for first in range(0, len(rows), _STEP):
        columns = np.arange(first, min(first + _STEP, len(rows)))
        scores = unit @ rows.take(columns).T
        own = (some >= first) & (some < first + len(columns))
        scores[own, some[own] - first] = -1
        scores[np.ix_(some < start, columns < start)] = -1
        np.maximum(near, scores.max(axis=1), out=near)
    return near


def _by_products(rows: Rows, start: int, near: Floats) -> None:
    unit = rows.copy(np.arange(len(rows)))
    for begin in range(start, len(unit), _BLOCK):
        end = min(begin + _BLOCK, len(unit))
        for first in range(0, end, _STEP):
            last = min(first + _STEP, end)
            scores = unit[begin:end] @ unit[first:last].T
            own = np.arange(max(begin, first), min(end, last))
            scores[own - begin, own - first] = -1  # no row is its own neighbour
            np.maximum(near[begin:end], scores.max(axis=1), out=near[begin:end])
            np.maximum(near[first:last], scores.max(axis=0), out=near[first:last])


def _by_inverted_file(rows: Rows, start: int, probe_at: float, near: Floats) -> None:
    inverted = InvertedFile.fit(rows, np.arange(len(rows)))
    count = inverted.probes_for_links(probe_at).count
    for begin in range(start, len(rows), _PROBE_BLOCK):
        end = min(begin + _PROBE_BLOCK, len(rows))
        block = inverted.rotate(rows.take(np.arange(begin, end)))
        for some, members, scores in _probed(inverted, block, count):
            own = begin + some
            place = np.minimum(np.searchsorted(members, own), len(members) - 1)
            itself = members[place] == own
            scores[np.flatnonzero(itself), place[itself]] = -1
            near[own] = np.maximum(near[own], scores.max(axis=1))
            near[members] = np.maximum(near[members], scores.max(axis=0))


def _probed(
    inverted: InvertedFile, block: Floats, count: int
) -> Iterator[tuple[Indices, npt.NDArray[np.int32], Floats]]:
    """Yield rows of a block, the rows of a list that they probe, and their cosines."""
    for number, inside in inverted.probed(block, count):
        members, places = inverted.members(number)
        if not len(members):
            continue
        vectors = inverted.vectors(places)
        size = max(1, _HELD // len(members))
        for first in range(0, len(inside), size):
            some = inside[first : first + size]
            yield some, members, block[some] @ vectors.T
