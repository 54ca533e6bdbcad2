"""Check whether a write-ahead log belongs to the index next to it.

An index may be replaced while it is in use, or copied without its log. SQLite would then apply the
log of one file to the other.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from edge_embed.errors import InputError

__all__ = ["refuse_foreign_log"]

_WAL_HEADER, _FRAME_HEADER = 32, 24
# Rows of the table ``facts``, as bytes of its page: a random name, and the count of transactions.
_IDENTITY = re.compile(rb"identity([0-9a-f]{32})")
_WRITES = re.compile(rb"writes(\d{20})")


def refuse_foreign_log(path: Path) -> None:
    """Refuse a write-ahead log that does not continue the file beside it.

    Raises:
        InputError: the log is that of another file.
    """
    log = path.with_name(f"{path.name}-wal")
    what = None
    with suppress(OSError, sqlite3.Error, ValueError, TypeError):  # reported when it is opened
        what = _foreign(log, path)
    if what is not None:
        raise InputError(
            f"{log} is the log of {what} than {path}, which was replaced while it was in use: "
            f"move {log.name} away (it belongs to the file that was there before) and try again"
        )


def _foreign(log: Path, path: Path) -> str | None:
    """Return a description of the log's file; None if it is the one next to it."""
    if not log.exists() or log.stat().st_size <= _WAL_HEADER:
        return None
    # As immutable, so that SQLite does not apply the log.
    address = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
    connection = sqlite3.connect(address, uri=True)
    try:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'facts'"
        ).fetchone()
        facts = dict(connection.execute("SELECT name, value FROM facts"))
    finally:
        connection.close()
    for page in _logged_pages(log, root):  # the oldest decides
        identity, writes = _IDENTITY.search(page), _WRITES.search(page)
        if identity is not None and identity[1].decode() != facts["identity"]:
            return "another index"
        if writes is not None and int(writes[1]) > int(facts.get("writes", 0)) + 1:
            return "a later state"
        return None
    return None


def _logged_pages(log: Path, number: int) -> Iterator[bytes]:
    """Yield the versions of one page in a log, oldest first."""
    with log.open("rb") as file:
        header = file.read(_WAL_HEADER)
        size, salts = int.from_bytes(header[8:12], "big"), header[16:24]
        while len(frame := file.read(_FRAME_HEADER)) == _FRAME_HEADER and frame[8:16] == salts:
            page = file.read(size)
            if int.from_bytes(frame[:4], "big") == number:
                yield page
