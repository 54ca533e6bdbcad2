"""Keep the HNSW file of an index up to date: open it, extend it, or rebuild it from the store.

It is rebuilt if it is missing, damaged, or too far behind the store.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.errors import OutputError
from edge_embed.tasks.index.hnsw_file import HnswFile, require_usearch
from edge_embed.tasks.index.ranking import Ranking, best_of
from edge_embed.tasks.index.store import Store
from edge_embed.tasks.vectors import Floats

__all__ = ["HnswSearch"]

Numbers = npt.NDArray[np.int64]

# The file is rebuilt if it lacks more than this share of the entries, or has as many deleted ones.
_LAG = 0.2
# Candidates for each hit wanted, and the least number of candidates.
_CANDIDATES = 4
_MIN_CANDIDATES = 100


class HnswSearch:
    """Searches a store with its HNSW file."""

    def __init__(self, store: Store, path: Path) -> None:
        self._store, self.path = store, path
        self._opened: HnswFile | None = None
        self._opened_at: tuple[int, int] | None = None
        self._later: tuple[tuple[int, int], Numbers, Floats] | None = None

    def close(self) -> None:
        """Close the file."""
        self._opened = None

    def current(self) -> HnswFile | None:
        """Return the HNSW file, or None if it is missing, damaged or too far behind."""
        require_usearch()
        version = self._store.version()
        if self._opened is not None and self._opened_at == version:
            return self._opened  # nothing was written since it was checked
        facts = self._store.facts
        file = self._opened
        if self._opened_at is not None and self._opened_at[0] != version[0]:
            file = None  # it belongs to the index file that was replaced
        if file is None:
            self._later = None
            file = HnswFile.open(self.path, store=facts.identity, dim=facts.dim)
        self._opened = None
        if file is None or file.newest > self._store.newest_ever():
            return None  # the latter: the store was restored from an older copy
        count, later = len(self._store), len(self._store.numbers(after=file.newest))
        gone = file.count - (count - later)
        if max(later, gone) > _LAG * count:
            return None
        self._opened, self._opened_at = file, version
        return file

    def rebuild(
        self, progress: Callable[[int], None] | None, later: Numbers | None = None
    ) -> HnswFile:
        """Write the HNSW file of all entries, or add the entries ``later`` to it.

        Raises:
            OutputError: it cannot be written.
        """
        self._later = None
        facts = self._store.facts
        self._opened_at = self._store.version()
        self._opened = HnswFile.build(
            self.path,
            self._store.blocks(self._store.numbers() if later is None else later),
            store=facts.identity,
            dim=facts.dim,
            extend=later is not None,
            progress=progress,
        )
        if self._opened is None:
            raise OutputError(f"cannot read back {self.path}: the disk does not keep what it gets")
        return self._opened

    def search(
        self,
        file: HnswFile,
        vector: Floats,
        depth: int,
        allowed: Numbers | None,
    ) -> Ranking:
        """Return the nearest entries of one query.

        Args:
            file: The HNSW file.
            vector: The query's unit vector, float32 (dim,).
            depth: How many entries.
            allowed: The numbers of entries that may be returned; None allows all.
        """
        later = self._added_since(file)
        count = max(_CANDIDATES * depth, _MIN_CANDIDATES)
        while True:
            self._store.check_stop()
            numbers = file.candidates(vector, count)
            if allowed is not None:
                numbers = numbers[np.isin(numbers, allowed)]
            near = self._store.vectors(numbers)
            if len(near[0]) >= depth or count >= file.count:
                fresh = later
                if allowed is not None:
                    fits = np.isin(later[0], allowed)
                    fresh = later[0][fits], later[1][fits]
                return best_of([near, fresh], vector[None], depth)[0]
            count *= 4  # a filter or deletions left too few

    def _added_since(self, file: HnswFile) -> tuple[Numbers, Floats]:
        """Return the entries added since the HNSW file was written; they are cached in memory."""
        version, held = self._store.version(), self._later
        if held is None or held[0] != version:
            numbers = self._store.numbers(after=file.newest)
            held = self._later = (version, *self._store.vectors(numbers))
        return held[1:]
