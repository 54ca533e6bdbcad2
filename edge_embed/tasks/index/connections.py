"""The SQLite connections of one index file: opened with care, one to write, several to read.

The file may come from somebody else, so only the schema that we make is opened, and nothing in it
may run. It may be replaced while it is open: that is noticed by its inode, and the log of one file
is never played into another.

No connection is carried into a forked process, where SQLite would take the locks of the parent for
its own, and what is written there would be lost when the parent closes the file. They are closed
before the fork, and opened again on both sides at the next use.
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
# Longest that a fork waits for those who read and write.
_FORK_WAIT = 5.0
# Virtual machine steps of SQLite between two looks whether to stop: about a millisecond.
_STEPS = 20_000
# How a file with a log is opened by whoever may not write.
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
            InputError: it is no index of ours, or damaged.
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
        self._shut = self._closed = self._carried = self._paused = False
        self.generation = 0
        """Goes up whenever another file was found in its place."""
        self._open()
        _every.add(self)

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to read with; others read and write meanwhile."""
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
        """Run the block as one transaction: all of it, on the disk, or nothing."""
        with self._writing, sqlite_errors(self._path):
            self.refresh()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                if self._found() != self._inode:  # while this waited for its turn
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
                if not self._shut:
                    ((version,),) = self._watcher.execute("PRAGMA data_version").fetchall()
                    return self.generation, int(version)

    @contextmanager
    def stopping(self, stop: Callable[[], bool]) -> Iterator[None]:
        """Let ``stop`` end what this thread reads within the block, about every millisecond."""
        self._local.stop = stop
        try:
            yield
        finally:
            self._local.stop = None

    def check_stop(self) -> None:
        """Raise where this thread's work is to stop.

        Raises:
            EdgeEmbedError: it is.
        """
        stop = getattr(self._local, "stop", None)
        if stop is not None and stop():
            raise stopped()

    def refresh(self) -> None:
        """Open the file that is there now, if it is another one.

        Raises:
            InputError: that is no index of ours, or damaged; or it was at work when this process
                was forked.
        """
        if not self._stale():
            return
        self._refuse_carried()
        with self._writing, self._changed:
            if not self._stale():
                return
            self._replacing = True
            try:
                while self._lent:
                    self._changed.wait()
                # Its log must not be found by the new file: written into the old one, wherever
                # that is now.
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
        if self._carried:
            return
        with self._changed:
            self._closed = True
            for connection in (self._writer, self._watcher, *self._idle):
                connection.close()
            self._idle.clear()

    def pause(self) -> None:
        """Close all connections before a fork, and hold the locks until :meth:`go_on`."""
        self._paused = self._writing.acquire(timeout=_FORK_WAIT)
        if not self._paused:
            return
        self._changed.acquire()
        if self._closed or self._carried:
            return
        idle = self._changed.wait_for(lambda: not self._lent, _FORK_WAIT)
        if idle and not self._writer.in_transaction:
            self.close()
            self._shut = True

    def go_on(self) -> None:
        """Release the locks, in the process that has forked."""
        if self._paused:
            self._changed.release()
            self._writing.release()

    def forked(self) -> None:
        """Reset the state in the forked process; never touch connections that are still open."""
        self._changed = threading.Condition(threading.RLock())
        self._writing = threading.RLock()
        self._replacing = False
        if not (self._shut or self._closed or self._carried):
            self._carried = True
            _inherited.append((self._writer, self._watcher, *self._idle))
            if self._inode is not None:
                _carried_files.add(self._inode[:2])

    def _refuse_carried(self) -> None:
        found = self._found()
        if self._carried or (found is not None and found[:2] in _carried_files):
            raise InputError(
                f"{self._path} was at work when this process was forked from the one that had it "
                "open: open it after the fork, or start processes by spawn"
            )

    def _stale(self) -> bool:
        return self._shut or self._carried or self._found() not in (self._inode, None)

    def _lend(self) -> sqlite3.Connection:
        while True:
            self.refresh()
            with self._changed:
                while self._replacing:
                    self._changed.wait()
                if self._shut:
                    continue
                if self._idle:
                    self._lent += 1
                    return self._idle.pop()
                connection = self._connect()
                if self._found() in (self._inode, None):
                    self._lent += 1
                    return connection
                connection.close()  # of another file, put there since

    def _open(self) -> None:
        if not self._path.is_file():
            raise InputError(
                f"no index {self._path}: create it with 'edge-embed index create {self._path}'"
            )
        self._refuse_carried()
        refuse_foreign_log(self._path)
        with sqlite_errors(self._path):
            self._mode = _reading_mode(self._path)
            found = self._found()
            self._writer = self._connect()
            try:
                self._check(self._writer)
                # Our own triggers write full-text search's tables, which older versions of SQLite
                # take for unsafe; that they are our own was looked at.
                self._writer.execute("PRAGMA trusted_schema = ON")
                if not self._mode:
                    self._writer.execute("PRAGMA journal_mode = WAL")
                self._watcher = self._connect()
            except BaseException:
                self._writer.close()
                raise
            self._inode = found
            self._shut = self._closed = False

    def _found(self) -> tuple[int, ...] | None:
        """Return what tells the file that is there; None for none, perhaps on its way."""
        try:
            facts = os.stat(self._path)  # noqa: PTH116
        except OSError:
            return None
        # SQLite looks for changes of a file that it takes for immutable no more than once.
        return facts.st_dev, facts.st_ino, facts.st_mtime_ns if self._mode else 0

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(self._path.resolve()))}{self._mode}",
            uri=True,
            timeout=_WAIT,
            isolation_level=None,
            check_same_thread=False,
        )
        # A view or a trigger of somebody else must not call functions; see
        # https://www.sqlite.org/security.html.
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.OperationalError as error:
            connection.close()
            if self._mode != _LOGGED:
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
_carried_files: set[tuple[int, ...]] = set()


def _at_fork(what: Callable[[Connections], None]) -> Callable[[], None]:
    def run() -> None:
        for connections in list(_every):
            what(connections)

    return run


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_at_fork(Connections.pause),
        after_in_parent=_at_fork(Connections.go_on),
        after_in_child=_at_fork(Connections.forked),
    )


def _reading_mode(path: Path) -> str:
    """Return how to open a file where this user may only read; empty where it may write as well.

    To read, SQLite writes a shared memory beside the file, unless that is there already (because
    another process writes) or the file is said not to change.
    """
    if os.access(path, os.W_OK) and os.access(path.resolve().parent, os.W_OK):
        return ""
    log = path.with_name(f"{path.name}-wal")
    with suppress(OSError):
        if log.stat().st_size:
            return _LOGGED
    return "?mode=ro&immutable=1"


def _count_write(connection: sqlite3.Connection) -> None:
    """Count a transaction on the page of the facts, so that each log names its file."""
    row = connection.execute("SELECT value FROM facts WHERE name = 'writes'").fetchone()
    count = int(row[0]) + 1 if row is not None else 1
    connection.execute("INSERT OR REPLACE INTO facts VALUES ('writes', ?)", (f"{count:020}",))
