"""Vectors of a store kept in memory while others write to it.

A number is never reused and its vector never changes, so that after a write only the new entries
are read. Whether an entry was deleted is asked of those that a search has found.
"""

import numpy as np
import numpy.typing as npt

from edge_embed.files.fork_lock import ForkLock
from edge_embed.tasks.index.ranking import Ranking, best_of
from edge_embed.tasks.index.store import Store
from edge_embed.tasks.vectors import Floats

__all__ = ["HeldVectors"]

Numbers = npt.NDArray[np.int64]

# Deleted entries are removed from memory when this many are known, and when the vectors are
# ``_GROWTH`` times as many as they were after the last time.
_GONE = 64
_GROWTH = 1.5
_LEAST = 1024


class HeldVectors:
    """The vectors of all entries above a number. Safe to share between threads."""

    def __init__(self, store: Store, after: int = 0) -> None:
        """Hold nothing yet; the vectors are read at the first use.

        Args:
            store: The store.
            after: Only entries with higher numbers are held.
        """
        self._store, self._after = store, after
        self._lock = ForkLock()
        self._version: tuple[int, int] | None = None
        self._clear()

    def nearest(self, unit: Floats, depth: int, allowed: Numbers | None = None) -> list[Ranking]:
        """Return the nearest entries of each query, best first.

        Args:
            unit: The queries' unit vectors, float32 (queries, dim).
            depth: How many entries.
            allowed: The numbers of entries that may be returned; None allows all.
        """
        while True:
            with self._lock:
                self._update()
                # Rows are only ever appended behind these, or moved to other arrays.
                numbers, vectors = self._numbers[: self._count], self._vectors[: self._count]
                gone = frozenset(self._gone)
            if allowed is not None:
                fits = np.isin(numbers, allowed)
                numbers, vectors = numbers[fits], vectors[fits]
            found = [
                [(number, score) for number, score in ranking if number not in gone][:depth]
                for ranking in best_of([(numbers, vectors)], unit, depth + len(gone))
            ]
            asked = {number for ranking in found for number, _ in ranking}
            deleted = asked - self._store.present(sorted(asked))
            if not deleted:
                return found
            with self._lock:
                self._gone |= deleted
                if len(self._gone) > _GONE:
                    self._remove_deleted()

    def count(self, *, exact: bool = False) -> int:
        """Return the number of entries; unless ``exact``, some that were deleted are counted."""
        with self._lock:
            self._update()
            if exact:
                self._remove_deleted()
            return self._count - len(self._gone)

    def _clear(self) -> None:
        self._numbers = np.empty(0, np.int64)
        self._vectors = np.empty((0, self._store.facts.dim), np.float32)
        self._count = self._checked = 0
        self._gone: set[int] = set()

    def _update(self) -> None:
        """Read what was added since the last time."""
        version = self._store.version()
        if version == self._version:
            return
        if self._version is not None and self._version[0] != version[0]:
            self._clear()  # the file was replaced by another
        newest = int(self._numbers[self._count - 1]) if self._count else self._after
        numbers, vectors = self._store.vectors_after(newest)
        needed = self._count + len(numbers)
        if needed > len(self._numbers):
            room = needed if not self._count else int(needed * _GROWTH)
            self._move(np.arange(self._count), room)
        self._numbers[self._count : needed] = numbers
        self._vectors[self._count : needed] = vectors
        if not self._count:
            self._checked = needed
        self._count, self._version = needed, version
        if self._count > _GROWTH * self._checked + _LEAST:
            self._remove_deleted()

    def _remove_deleted(self) -> None:
        there = np.isin(self._numbers[: self._count], self._store.numbers(after=self._after))
        if not there.all():
            rows = np.flatnonzero(there)
            self._move(rows, len(rows))
        self._gone.clear()
        self._checked = self._count

    def _move(self, rows: npt.NDArray[np.intp], room: int) -> None:
        """Keep only these rows, in new arrays with this much room."""
        numbers, vectors = self._numbers[rows], self._vectors[rows]
        self._numbers = np.empty(room, np.int64)
        self._vectors = np.empty((room, vectors.shape[1]), np.float32)
        self._numbers[: len(rows)], self._vectors[: len(rows)] = numbers, vectors
        self._count = len(rows)
