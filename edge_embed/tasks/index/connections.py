"""The SQLite connections of one index file: opened with care, one to write, several to read.

The file may come from somebody else, so only the schema that we make is opened, and nothing in it
may run. It may be replaced while it is open: that is noticed by its inode, and the log of one file
is never played into another.
"""

import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from edge_embed.errors import InputError, OutputError
from edge_embed.tasks.index.sqlite_errors import sqlite_errors, stopped

__all__ = ["Connections"]

_WAIT = 30.0
# Virtual machine steps of SQLite between two looks whether to stop: about a millisecond.
_STEPS = 20_000
_WAL_HEADER, _FRAME_HEADER = 32, 24
# How a file with a log is opened by whoever may not write.
_LOGGED = "?mode=ro"
# What the facts' page holds: a random name, and how many transactions the file has seen.
_IDENTITY = re.compile(rb"identity([0-9a-f]{32})")
_WRITES = re.compile(rb"writes(\d{20})")

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
        self.generation = 0
        """Goes up whenever another file was found in its place."""
        self._open()

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
        self.refresh()
        with self._changed, sqlite_errors(self._path):
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
            InputError: that is no index of ours, or damaged.
        """
        if self._found() in (self._inode, None):
            return
        with self._writing, self._changed:
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
        with self._changed:
            for connection in (self._writer, self._watcher, *self._idle):
                connection.close()
            self._idle.clear()

    def _lend(self) -> sqlite3.Connection:
        while True:
            self.refresh()
            with self._changed:
                while self._replacing:
                    self._changed.wait()
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
        _refuse_foreign_log(self._path)
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


def _refuse_foreign_log(path: Path) -> None:
    """Refuse a write-ahead log that does not continue the file beside it."""
    log = path.with_name(f"{path.name}-wal")
    what = None
    with suppress(OSError, sqlite3.Error, ValueError, TypeError):  # told when it is opened
        what = _foreign(log, path)
    if what is not None:
        raise InputError(
            f"{log} is the log of {what} than {path}, which was replaced while it was in use: "
            f"move {log.name} away (it belongs to the file that was there before) and try again"
        )


def _foreign(log: Path, path: Path) -> str | None:
    """Say of what a log is, if not of the file beside it."""
    if not log.exists() or log.stat().st_size <= _WAL_HEADER:
        return None
    # Read without the log.
    address = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
    connection = sqlite3.connect(address, uri=True)
    try:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'facts'"
        ).fetchone()
        facts = dict(connection.execute("SELECT name, value FROM facts"))
    finally:
        connection.close()
    for page in _logged_pages(log, root):  # the first says it; later ones continue it
        identity, writes = _IDENTITY.search(page), _WRITES.search(page)
        if identity is not None and identity[1].decode() != facts["identity"]:
            return "another index"
        if writes is not None and int(writes[1]) > int(facts.get("writes", 0)) + 1:
            return "a later state"
        return None
    return None


def _logged_pages(log: Path, number: int) -> Iterator[bytes]:
    """Yield what a log holds of one page, oldest first."""
    with log.open("rb") as file:
        header = file.read(_WAL_HEADER)
        size, salts = int.from_bytes(header[8:12], "big"), header[16:24]
        while len(frame := file.read(_FRAME_HEADER)) == _FRAME_HEADER and frame[8:16] == salts:
            page = file.read(size)
            if int.from_bytes(frame[:4], "big") == number:
                yield page
