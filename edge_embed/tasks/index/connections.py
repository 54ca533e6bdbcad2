"""The SQLite connections of one index file: one to write, several to read.

The file may be untrusted: only this package's schema is accepted, and views or triggers of others
do not run. It may be replaced while it is open, which its inode shows; the write-ahead log of one
file is never applied to another.

Connections are not used in a forked process: SQLite would take the locks of the parent for its own,
and writes would be lost when the parent closes the file. They are closed before the fork, and
reopened in both processes at the next use.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from edge_embed.errors import InputError, OutputError
from edge_embed.tasks.index.foreign_log import refuse_foreign_log
from edge_embed.tasks.index.sqlite_errors import sqlite_errors, stopped

__all__ = ["Connections"]

_WAIT = 30.0
# Longest that a fork waits for readers and the writer, in seconds.
_FORK_WAIT = 5.0
# Instructions of SQLite's virtual machine between two calls of ``stop``: about a millisecond.
_STEPS = 20_000
# URI parameters for a file with a write-ahead log that this user may only read.
_LOGGED = "?mode=ro"

Check = Callable[[sqlite3.Connection], None]


class Connections:
    """Opens, lends and closes connections. Safe to share between threads."""

    def __init__(self, path: Path, check: Check) -> None:
        """Open the file.

        Args:
            path: The file.
            check: Called with a new connection before anything else is done with it.

        Raises:
            InputError: it is no index of this package, or damaged.
        """
        self._path, self._check = path, check
        self._changed = threading.Condition(threading.RLock())
        self._writing = threading.RLock()
        self._local = threading.local()
        self._idle: list[sqlite3.Connection] = []
        self._lent = 0
        self._replacing = False
        self._inode: tuple[int, ...] | None = None
        self._mode = ""
        self._closed_for_fork = self._closed = self._open_at_fork = self._paused = False
        self.generation = 0
        """How often the file was replaced by another since it was first opened."""
        self._open()
        _every.add(self)

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for reading; other threads can read and write at the same time."""
        with sqlite_errors(self._path):
            connection = self._lend()
        stop = getattr(self._local, "stop", None)
        try:
            if stop is not None:
                connection.set_progress_handler(stop, _STEPS)
            with sqlite_errors(self._path):
                yield connection
        finally:
            if stop is not None:
                connection.set_progress_handler(None, 0)
            with self._changed:
                self._lent -= 1
                self._idle.append(connection)
                self._changed.notify_all()

    @contextmanager
    def writer(self) -> Iterator[sqlite3.Connection]:
        """Run the block as one transaction, which is on disk at the end, or rolled back."""
        with self._writing, sqlite_errors(self._path):
            self.refresh()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                if self._found() != self._inode:  # replaced while this waited for the lock
                    raise OutputError(
                        f"{self._path} was replaced while it was to be written; nothing was "
                        "written: run again"
                    )
                _count_write(self._writer)
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def version(self) -> tuple[int, int]:
        """Return numbers that change with every write, by this process or another."""
        while True:
            self.refresh()
            with self._changed, sqlite_errors(self._path):
                if not self._closed_for_fork:
                    ((version,),) = self._watcher.execute("PRAGMA data_version").fetchall()
                    return self.generation, int(version)

    @contextmanager
    def stopping(self, stop: Callable[[], bool]) -> Iterator[None]:
        """Interrupt this thread's queries within the block once ``stop`` returns True.

        It is called about every millisecond.
        """
        self._local.stop = stop
        try:
            yield
        finally:
            self._local.stop = None

    def check_stop(self) -> None:
        """Call this thread's ``stop``, if it is within :meth:`stopping`.

        Raises:
            EdgeEmbedError: ``stop`` returned True.
        """
        stop = getattr(self._local, "stop", None)
        if stop is not None and stop():
            raise stopped()

    def refresh(self) -> None:
        """Reopen the file if it was replaced by another, or closed for a fork.

        Raises:
            InputError: it is no index of this package, or damaged; or it was in use when this
                process was forked.
        """
        if not self._stale():
            return
        self._refuse_open_at_fork()
        with self._writing, self._changed:
            if not self._stale():
                return
            self._replacing = True
            try:
                while self._lent:
                    self._changed.wait()
                # The old file's log must not be left beside the new file: apply it to the old one.
                with suppress(sqlite3.Error):
                    self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                self.close()
                self._inode = (0, 0, 0)
                self._open()
                self.generation += 1
            finally:
                self._replacing = False
                self._changed.notify_all()

    def close(self) -> None:
        """Close all connections that are not lent."""
        if self._open_at_fork:
            return
        with self._changed:
            self._closed = True
            for connection in (self._writer, self._watcher, *self._idle):
                connection.close()
            self._idle.clear()

    def pause(self) -> None:
        """Close all connections before a fork, and hold the locks until :meth:`resume`."""
        self._paused = self._writing.acquire(timeout=_FORK_WAIT)
        if not self._paused:
            return
        self._changed.acquire()
        if self._closed or self._open_at_fork:
            return
        idle = self._changed.wait_for(lambda: not self._lent, _FORK_WAIT)
        if idle and not self._writer.in_transaction:
            self.close()
            self._closed_for_fork = True

    def resume(self) -> None:
        """Release the locks after a fork, in the parent."""
        if self._paused:
            self._changed.release()
            self._writing.release()

    def forked(self) -> None:
        """Reset the state after a fork, in the child; connections still open are never used."""
        self._changed = threading.Condition(threading.RLock())
        self._writing = threading.RLock()
        self._replacing = False
        if not (self._closed_for_fork or self._closed or self._open_at_fork):
            self._open_at_fork = True
            _inherited.append((self._writer, self._watcher, *self._idle))
            if self._inode is not None:
                _files_open_at_fork.add(self._inode[:2])

    def _refuse_open_at_fork(self) -> None:
        found = self._found()
        if self._open_at_fork or (found is not None and found[:2] in _files_open_at_fork):
            raise InputError(
                f"{self._path} was at work when this process was forked from the one that had it "
                "open: open it after the fork, or start processes by spawn"
            )

    def _stale(self) -> bool:
        return (
            self._closed_for_fork or self._open_at_fork or self._found() not in (self._inode, None)
        )

    def _lend(self) -> sqlite3.Connection:
        while True:
            self.refresh()
            with self._changed:
                while self._replacing:
                    self._changed.wait()
                if self._closed_for_fork:
                    continue
                if self._idle:
                    self._lent += 1
                    return self._idle.pop()
                connection = self._connect()
                if self._found() in (self._inode, None):
                    self._lent += 1
                    return connection
                connection.close()  # the file was replaced in between

    def _open(self) -> None:
        if not self._path.is_file():
            raise InputError(
                f"no index {self._path}: create it with 'edge-embed index create {self._path}'"
            )
        self._refuse_open_at_fork()
        refuse_foreign_log(self._path)
        with sqlite_errors(self._path):
            self._mode = _reading_mode(self._path)
            found = self._found()
            self._writer = self._connect()
            try:
                self._check(self._writer)
                # Older versions of SQLite take this package's triggers, which write the tables of
                # the full-text search, for unsafe. The check has compared them with our schema.
                self._writer.execute("PRAGMA trusted_schema = ON")
                if not self._mode:
                    self._writer.execute("PRAGMA journal_mode = WAL")
                self._watcher = self._connect()
            except BaseException:
                self._writer.close()
                raise
            self._inode = found
            self._closed_for_fork = self._closed = False

    def _found(self) -> tuple[int, ...] | None:
        """Return a value that identifies the file now at the path; None if there is none."""
        try:
            facts = os.stat(self._path)  # noqa: PTH116
        except OSError:
            return None
        # SQLite does not notice changes of a file opened as immutable, so its time is compared.
        return facts.st_dev, facts.st_ino, facts.st_mtime_ns if self._mode else 0

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(self._path.resolve()))}{self._mode}",
            uri=True,
            timeout=_WAIT,
            isolation_level=None,
            check_same_thread=False,
        )
        # Views and triggers of an untrusted file must not call functions, see
        # https://www.sqlite.org/security.html.
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            connection.close()
            if self._mode != _LOGGED or not isinstance(error, sqlite3.OperationalError):
                raise
            raise InputError(
                f"{self._path} is being changed by another user, and the changes are in "
                f"{self._path.name}-wal, which only who may write there can read: try again when "
                "it is closed"
            ) from error
        defensive = getattr(sqlite3, "SQLITE_DBCONFIG_DEFENSIVE", None)
        if defensive is not None:  # from Python 3.12 on
            connection.setconfig(defensive)  # type: ignore[attr-defined,unused-ignore]
        return connection


_every: "weakref.WeakSet[Connections]" = weakref.WeakSet()
_inherited: list[tuple[sqlite3.Connection, ...]] = []
_files_open_at_fork: set[tuple[int, ...]] = set()


def _at_fork(what: Callable[[Connections], None]) -> Callable[[], None]:
    def run() -> None:
        for connections in list(_every):
            what(connections)

    return run


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_at_fork(Connections.pause),
        after_in_parent=_at_fork(Connections.resume),
        after_in_child=_at_fork(Connections.forked),
    )


def _reading_mode(path: Path) -> str:
    """Return the URI parameters for a file that this user may only read; "" if it may write.

    Even to read, SQLite creates a file of shared memory next to the index, unless it exists already
    (as another process writes) or the index is opened as immutable.
    """
    if os.access(path, os.W_OK) and os.access(path.resolve().parent, os.W_OK):
        return ""
    log = path.with_name(f"{path.name}-wal")
    with suppress(OSError):
        if log.stat().st_size:
            return _LOGGED
    return "?mode=ro&immutable=1"


def _count_write(connection: sqlite3.Connection) -> None:
    """Count a transaction in the table ``facts``, by which a log is recognised as this file's."""
    row = connection.execute("SELECT value FROM facts WHERE name = 'writes'").fetchone()
    count = int(row[0]) + 1 if row is not None else 1
    connection.execute("INSERT OR REPLACE INTO facts VALUES ('writes', ?)", (f"{count:020}",))
