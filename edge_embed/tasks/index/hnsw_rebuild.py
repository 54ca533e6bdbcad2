"""Keep the HNSW file of an index up to date: open it, extend it, or rebuild it from the store.

It is rebuilt if it is missing, damaged or has too many deleted entries, and extended if it lacks
too many. What it lacks is compared vector by vector.
"""

import os
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.errors import MissingExtraError, OutputError
from edge_embed.files.fork_lock import ForkLock
from edge_embed.tasks.index.held_vectors import HeldVectors
from edge_embed.tasks.index.hnsw_file import HnswFile, require_usearch
from edge_embed.tasks.index.ranking import Ranking, best_of
from edge_embed.tasks.index.store import Store
from edge_embed.tasks.vectors import Floats

__all__ = ["HnswSearch"]

Numbers = npt.NDArray[np.int64]

# The file is rebuilt if it has more than this share of deleted entries, and extended if it lacks
# more than this share of the entries. In a large index that would be too many to compare: it is
# extended if it lacks more than ``_LATER`` or ``_LATER_SHARE`` of the entries, whichever is more.
_LAG = 0.2
_LATER = 20_000
_LATER_SHARE = 0.05
# Candidates for each hit wanted, and the least number of candidates.
_CANDIDATES = 4
_MIN_CANDIDATES = 100
# Seconds between attempts of searches to write the file where it cannot be written.
_RETRY = 60.0


class HnswSearch:
    """Searches a store with its HNSW file. Safe to share between threads."""

    def __init__(self, store: Store, path: Path, *, background: bool = False) -> None:
        """Open nothing yet.

        Args:
            store: The store.
            path: The HNSW file of ``store``.
            background: Searches do not wait for the file: a thread writes it.
        """
        self._store, self.path, self._background = store, path, background
        self._opened: tuple[tuple[int, int], HnswFile] | None = None
        self._later: tuple[tuple[int, int], HeldVectors] | None = None
        self._writing, self._starting = ForkLock(), ForkLock()
        self._writer: threading.Thread | None = None
        self._closed = False
        self.without_usearch = False
        """Whether a search has found that usearch is not installed."""
        self._retry_at = 0.0

    def close(self) -> None:
        """Close the file; end the thread that writes it."""
        self._closed = True
        if self._writer is not None:
            self._writer.join()
        self._opened = self._later = None

    def ready(self) -> HnswFile | None:
        """Return the HNSW file, written anew or extended if need be.

        None if there is none and it cannot be written or usearch is not installed, and a warning
        says why. While another thread or process writes it, and for a time after that has failed,
        it is returned as it is.
        """
        if self.without_usearch or (self._opened is None and self._writing.held):
            return None
        try:
            file = self._current()
        except MissingExtraError as error:
            self.without_usearch = True
            warnings.warn(f"{error}; every entry is compared instead", stacklevel=4)
            return None
        if file is not None and (self._writing.held or self._kept(file)):
            return file
        if time.monotonic() < self._retry_at:
            return file
        if self._background:
            self._start_writer()
            return file
        try:
            return self._write(None)
        except OutputError as error:
            self._failed(error, stacklevel=5)
            return file

    def refresh(self, progress: Callable[[int], None] | None) -> bool:
        """Bring the file up to date; return whether it was written.

        Raises:
            OutputError: it cannot be written.
        """
        file = self._current(reopen=True)
        if file is not None and self._kept(file) and not self._added_since(file).count(exact=True):
            return False
        self._write(progress, all_later=True)
        return True

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
        count = max(_CANDIDATES * depth, _MIN_CANDIDATES)
        while True:
            self._store.check_stop()
            numbers = file.candidates(vector, count)
            if allowed is not None:
                numbers = numbers[np.isin(numbers, allowed)]
            near = self._store.vectors(numbers)
            if len(near[0]) >= depth or count >= file.count:
                break
            count *= 4  # a filter or deletions left too few
        ranking = best_of([near], vector[None], depth)[0]
        ranking += self._added_since(file).nearest(vector[None], depth, allowed)[0]
        return sorted(ranking, key=lambda found: (-found[1], found[0]))[:depth]

    def _current(self, *, reopen: bool = False) -> HnswFile | None:
        """Return the file, or None if it is missing, damaged or of another state of the store.

        With ``reopen`` it is as another thread or process may have written it meanwhile.
        """
        require_usearch()
        version, opened = self._store.version(), None if reopen else self._opened
        if opened is not None and opened[0] == version:
            return opened[1]  # nothing was written since it was checked
        if opened is not None and opened[0][0] == version[0]:
            file: HnswFile | None = opened[1]
        else:  # the file of an index that was replaced is not this one's
            facts = self._store.facts
            file = HnswFile.open(self.path, store=facts.identity, dim=facts.dim)
        if file is not None and file.newest > self._store.newest_ever():
            file = None  # the store was restored from an older copy
        self._opened = None if file is None else (version, file)
        return file

    def _start_writer(self) -> None:
        """Start the thread that writes the file, unless it is at work."""
        with self._starting:
            if self._closed or (self._writer is not None and self._writer.is_alive()):
                return
            self._writer = threading.Thread(target=self._write_behind, name="hnsw", daemon=True)
            self._writer.start()

    def _write_behind(self) -> None:
        """Write the file until :meth:`close`: a request's deadline must not end it.

        If it did, and the file took longer than a request may, each search would begin it anew.
        """
        try:
            with self._store.stopping(lambda: self._closed):
                self._write(None)
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread
            if not self._closed:
                self._failed(error, stacklevel=1)

    def _failed(self, error: Exception, *, stacklevel: int) -> None:
        self._retry_at = time.monotonic() + _RETRY
        compared = "every entry" if self._opened is None else "every entry that it lacks"
        reason = str(error) or type(error).__name__
        message = (
            reason if isinstance(error, OutputError) else f"cannot write {self.path}: {reason}"
        )
        warnings.warn(f"{message}; {compared} is compared instead", stacklevel=stacklevel + 1)

    def _kept(self, file: HnswFile) -> bool:
        """Return whether the file may lag behind the store as it does."""
        return self._within(file, exact=False) or self._within(file, exact=True)

    def _within(self, file: HnswFile, *, exact: bool) -> bool:
        count, later = len(self._store), self._added_since(file).count(exact=exact)
        most = min(_LAG * count, max(_LATER, _LATER_SHARE * count))
        return later <= most and self._deleted(file, count, later) <= _LAG * count

    @staticmethod
    def _deleted(file: HnswFile, count: int, later: int) -> int:
        """Return how many of the file's entries are no longer in the store."""
        return file.count - (count - later)

    def _write(
        self, progress: Callable[[int], None] | None, *, all_later: bool = False
    ) -> HnswFile:
        """Extend the file, or rebuild it where there is none or too much of it was deleted.

        Args:
            progress: Called with the number of entries added since the last call.
            all_later: Extend a file that may lag behind as it does, too.

        Raises:
            OutputError: it cannot be written.
        """
        with self._writing:
            file, facts = self._current(reopen=True), self._store.facts
            if file is not None and not all_later and self._kept(file):
                return file
            extend = False
            if file is not None:
                count, later = len(self._store), self._added_since(file).count(exact=True)
                extend = self._deleted(file, count, later) <= _LAG * count
            version = self._store.version()
            written = HnswFile.build(
                self.path,
                lambda newest: self._store.blocks(self._store.numbers(after=newest)),
                store=facts.identity,
                dim=facts.dim,
                # In the background searches have the other processors.
                threads=1 if self._background else len(os.sched_getaffinity(0)),
                extend=extend,
                progress=progress,
            )
            if written is None:
                raise OutputError(
                    f"cannot read back {self.path}: the disk does not keep what it gets"
                )
            self._opened = version, written
            return written

    def _added_since(self, file: HnswFile) -> HeldVectors:
        """Return the entries that the file lacks."""
        state = self._store.version()[0], file.newest
        later = self._later
        if later is None or later[0] != state:
            later = self._later = state, HeldVectors(self._store, file.newest)
        return later[1]
