"""An inverted file: vectors in lists by their nearest centre, so that a search reads few of them.

See Sivic & Zisserman 2003 and Jégou et al. 2011. Rows are compared with the lists by matrix
products. Vectors are rotated so that their principal components come first. The first components
determine the lists, and give a cheap upper bound of every cosine. The number of lists that a row
probes is measured: a sample is searched exactly, and the smallest number is taken with which
:data:`WANTED` of its true neighbours are found. The recall on that sample is reported.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt

from edge_embed.files.write_errors import temporary_files
from edge_embed.tasks.vectors import Floats, Rows, unit_rows

__all__ = ["WANTED", "InvertedFile", "Probes", "bounding_heads", "spherical_k_means"]

WANTED = 0.995
"""The share of a sample's true neighbours that the probed lists must hold."""

Numbers = npt.NDArray[np.int32]
Indices = npt.NDArray[np.intp]

_SAMPLE = 1024
_ROUNDS = 5
_TRAINED_ON = 16  # rows a centre
_MIN_PROBES = 16
# If a sample has fewer links (pairs above the threshold) than this, its strongest pairs down to a
# margin below the threshold count too. Weaker pairs are harder to find, so that recall is
# underestimated rather than overestimated.
_ENOUGH = 200
_MARGIN = 0.05
# The number of lists, in square roots of the number of rows.
_LISTS = 4
# Number of principal components that determine lists and bound cosines.
_HEAD = 128
_MAX_LISTS = 1 << 16
_BLOCK = 8192


@dataclass(frozen=True)
class Probes:
    """How many lists each row probes."""

    count: int
    recall: float
    """The share of the sample's true neighbours that is found with ``count`` lists."""


class InvertedFile:
    """Rotated rows in lists by their nearest centre, float16, in an unnamed temporary file.

    The system removes the file when the object is deleted or the process ends.
    """

    def __init__(
        self, basis: Floats, centres: Floats, starts: Indices, numbers: Numbers, file: IO[bytes]
    ) -> None:
        self._basis, self._centres = basis, centres
        self._starts, self._numbers = starts, numbers
        self._unit = np.memmap(file, np.float16, "r", shape=(len(numbers), len(basis)))
        self._rest = np.empty((len(numbers), 1), np.float32)
        for start in range(0, len(numbers), _BLOCK):
            block = slice(start, start + _BLOCK)
            self._rest[block] = _lengths(np.asarray(self._unit[block, _HEAD:], np.float32))
        self._list_of = np.empty(len(numbers), np.int32)
        self._list_of[numbers] = np.repeat(np.arange(len(centres)), np.diff(starts))

    @classmethod
    def fit(cls, rows: Rows, order: Indices, *, seed: int = 0) -> "InvertedFile":
        """Find centres on a sample and sort all rows into their lists.

        Args:
            rows: The vectors.
            order: A permutation of the rows; from here on a row's number is its place in it.
            seed: The seed of the sample.

        Raises:
            OutputError: the temporary file cannot be written.
        """
        count = len(order)
        rng = np.random.default_rng(seed)
        list_count = max(1, min(count // 8, int(_LISTS * np.sqrt(count)), _MAX_LISTS))
        chosen = rng.choice(count, min(count, list_count * _TRAINED_ON), replace=False)
        sample = rows.copy(order[np.sort(chosen)])
        basis = _principal_axes(sample)
        heads = unit_rows(sample @ basis[:, :_HEAD])
        centres = spherical_k_means(heads, list_count, rng)
        nearest = np.empty(count, np.int32)
        for start in range(0, count, _BLOCK):
            block = rows.take(order[start : start + _BLOCK])
            nearest[start : start + _BLOCK] = (block @ basis[:, :_HEAD] @ centres.T).argmax(axis=1)
        numbers = np.argsort(nearest, kind="stable").astype(np.int32)
        starts = np.searchsorted(nearest[numbers], np.arange(list_count + 1))
        with temporary_files(), tempfile.TemporaryFile() as file:
            for start in range(0, count, _BLOCK):
                block = rows.take(order[numbers[start : start + _BLOCK]])
                file.write((block @ basis).astype(np.float16).tobytes())
            file.flush()
            return cls(basis, centres, starts, numbers, file)

    def rotate(self, block: Floats) -> Floats:
        """Rotate unit vectors, float32 (n, dim), like those in the lists; cosines do not change."""
        rotated: Floats = block @ self._basis
        return rotated

    def members(self, number: int, *, before: int | None = None) -> tuple[Numbers, slice]:
        """Return the rows of list ``number``, ascending, and their places in the file.

        Only rows below ``before`` are returned, if it is given.
        """
        start, end = int(self._starts[number]), int(self._starts[number + 1])
        if before is not None:
            end = start + int(np.searchsorted(self._numbers[start:end], before))
        return self._numbers[start:end], slice(start, end)

    def vectors(self, places: slice | Indices) -> Floats:
        """Return the rotated vectors at ``places`` in the file, float32 (n, dim)."""
        return np.asarray(self._unit[places], np.float32)

    def heads(self, places: slice) -> Floats:
        """Return the :func:`bounding_heads` of the vectors at ``places``, float32 (n, head + 1)."""
        head = np.asarray(self._unit[places, :_HEAD], np.float32)
        return np.concatenate([head, self._rest[places]], axis=1)

    def probed(self, block: Floats, count: int) -> Iterator[tuple[int, Indices]]:
        """Yield the number of each list with the rows of ``block`` that probe it.

        Args:
            block: Rotated vectors, float32 (n, dim).
            count: How many lists each row probes; some rows probe a few more.
        """
        count = min(count, len(self._centres))
        visited, visitors = [], []
        for start in range(0, len(block), _BLOCK):
            closeness = self._closeness(block[start : start + _BLOCK])
            near = _near(closeness, count)
            row, number = np.divmod(np.flatnonzero(near), len(self._centres))
            visited.append(number)
            visitors.append(start + row)
        lists = np.concatenate(visited)
        order = np.argsort(lists.astype(np.uint16), kind="stable")  # 16 bits: in linear time
        rows = np.concatenate(visitors)[order]
        bounds = np.searchsorted(lists[order], np.arange(len(self._centres) + 1))
        for number in np.flatnonzero(np.diff(bounds)).tolist():
            yield number, rows[bounds[number] : bounds[number + 1]]

    def probes_for_links(self, threshold: float, *, seed: int = 1) -> Probes:
        """Return how many lists to probe to find all rows above ``threshold``, by a sample."""
        sample, depths = self._sampled(seed)
        needed, strengths = [np.empty(0, np.int32)], [np.empty(0, np.float32)]
        for columns, scores in self._compared(sample):
            row, column = np.nonzero(scores >= threshold - _MARGIN)
            needed.append(depths[row, self._list_of[columns[column]]])
            strengths.append(scores[row, column])
        strength = np.concatenate(strengths)
        counted = max(_ENOUGH, int(np.count_nonzero(strength >= threshold)))
        strongest = np.argsort(-strength, kind="stable")[:counted]
        return _probes(np.concatenate(needed)[strongest])

    def probes_for_nearest(self, k: int, *, seed: int = 1) -> Probes:
        """Return how many lists to probe to find the ``k`` nearest rows, by a sample."""
        sample, depths = self._sampled(seed)
        best = np.full((len(sample), k), -np.inf, np.float32)
        found = np.zeros((len(sample), k), np.int32)
        for columns, scores in self._compared(sample):
            scores = np.concatenate([best, scores], axis=1)
            numbers = np.concatenate(
                [found, np.broadcast_to(columns, (len(sample), len(columns)))], 1
            )
            top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            best = np.take_along_axis(scores, top, axis=1)
            found = np.take_along_axis(numbers, top, axis=1)
        needed = np.take_along_axis(depths, self._list_of[found], axis=1)
        return _probes(needed[np.isfinite(best)])

    def _sampled(self, seed: int) -> tuple[Indices, Numbers]:
        """Return the places of sampled rows, and each list's rank for them, (sample, lists)."""
        count = len(self._numbers)
        rng = np.random.default_rng(seed)
        sample = np.sort(rng.choice(count, min(count, _SAMPLE), replace=False))
        closeness = self._closeness(np.asarray(self._unit[sample], np.float32))
        ranked = np.argsort(-closeness, axis=1, kind="stable")
        depths = np.empty(ranked.shape, np.int32)
        np.put_along_axis(depths, ranked, np.arange(1, ranked.shape[1] + 1)[None], axis=1)
        return sample, depths

    def _closeness(self, unit: Floats) -> Floats:
        """Return a measure of closeness of rotated vectors to each centre, (n, lists)."""
        closeness: Floats = unit[:, :_HEAD] @ self._centres.T
        return closeness

    def _compared(self, sample: Indices) -> Iterator[tuple[Numbers, Floats]]:
        """Yield blocks of rows, and the cosines of the sampled rows with them, (sample, block)."""
        unit = np.asarray(self._unit[sample], np.float32)
        for start in range(0, len(self._numbers), _BLOCK):
            block = np.asarray(self._unit[start : start + _BLOCK], np.float32)
            scores = unit @ block.T
            own = (sample >= start) & (sample < start + len(block))
            scores[own, sample[own] - start] = -np.inf  # no row is its own neighbour
            yield self._numbers[start : start + _BLOCK], scores


def bounding_heads(rotated: Floats) -> Floats:
    """Return the first components of rotated vectors, and the length of the other components.

    The inner product of two such rows is an upper bound of the cosine (Cauchy-Schwarz inequality).
    """
    return np.concatenate([rotated[:, :_HEAD], _lengths(rotated[:, _HEAD:])], axis=1)


def _lengths(rows: Floats) -> Floats:
    lengths: Floats = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return lengths


def _principal_axes(sample: Floats) -> Floats:
    """Return the principal axes of a sample, not centred, largest first: float32 (dim, dim)."""
    _, vectors = np.linalg.eigh(sample.T @ sample)
    return np.ascontiguousarray(vectors[:, ::-1])


def _near(closeness: Floats, count: int) -> npt.NDArray[np.bool_]:
    """Flag the ``count`` largest values of each row, and a few others: (rows, lists).

    The limit is the ``count``-th largest of the maxima of groups of values, which is much faster to
    find than that of all values.
    """
    size = max(1, closeness.shape[1] // (8 * count))
    groups = closeness.shape[1] // size
    best = closeness[:, : groups * size].reshape(len(closeness), size, groups).max(axis=1)
    near = closeness >= np.partition(best, -count, axis=1)[:, -count, None]
    many = np.flatnonzero(np.count_nonzero(near, axis=1) > 2 * count)
    if len(many):  # many equal values, as with equal vectors
        near[many] = False
        near[many[:, None], np.argpartition(-closeness[many], count - 1)[:, :count]] = True
    return near


def _probes(needed: npt.NDArray[np.int32]) -> Probes:
    """Return the smallest number of lists with the wanted share, given each link's list rank."""
    if not len(needed):
        return Probes(2 * _MIN_PROBES, 1.0)
    count = max(_MIN_PROBES, int(np.quantile(needed, WANTED, method="higher")))
    return Probes(count, float(np.mean(needed <= count)))


def spherical_k_means(sample: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Cluster unit vectors by spherical k-means (Dhillon & Modha 2001).

    Args:
        sample: Vectors of unit length, float32 (n, dim).
        count: How many centres; at most n.
        rng: Draws the first centres, and replacements for centres without rows.

    Returns:
        Centres of unit length, float32 (count, dim).
    """
    centres: Floats = sample[rng.choice(len(sample), count, replace=False)].copy()
    for _ in range(_ROUNDS):
        nearest = np.concatenate(
            [
                (sample[start : start + _BLOCK] @ centres.T).argmax(axis=1)
                for start in range(0, len(sample), _BLOCK)
            ]
        )
        order = np.argsort(nearest, kind="stable")
        taken, first = np.unique(nearest[order], return_index=True)
        centres[taken] = np.add.reduceat(sample[order], first, axis=0)
        empty = np.setdiff1d(np.arange(count), taken)
        centres[empty] = sample[rng.choice(len(sample), len(empty))]
        centres = unit_rows(centres)
    return centres
