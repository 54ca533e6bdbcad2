"""Turn SQLite's errors into this package's, of one line with a remedy."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_embed.errors import DamagedIndexError, EdgeEmbedError, InputError, OutputError

__all__ = ["sqlite_errors", "stopped"]


def stopped() -> EdgeEmbedError:
    """Return the error of a search that was stopped."""
    return EdgeEmbedError("the search was stopped: it took too long, or nobody waits for it")


def _short(error: Exception) -> str:
    """Return SQLite's message, which may quote the file's content, as a short line."""
    return " ".join(str(error)[:200].split())


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors within the block into errors of one line about the index ``path``."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = _short(error)
        if text == "interrupted":
            raise stopped() from None
        if "full" in text:
            raise OutputError(
                f"cannot write {path}: the disk is full; free some space and run again"
            ) from error
        if "locked" in text or "busy" in text:
            raise OutputError(
                f"{path} is being written by another process: try again when it is done"
            ) from error
        if "readonly" in text:
            raise OutputError(
                f"cannot write {path}: no permission, or a read-only place; it can be searched, "
                "and changed where it can be written"
            ) from error
        if "fts5" in text:
            raise InputError(
                "this Python's SQLite lacks full-text search (FTS5): install a Python whose "
                "sqlite3 has it"
            ) from error
        if "no such table" in text:
            raise InputError(f"{path} is not an index of edge-embed") from error
        raise OutputError(f"cannot use the index {path}: {text}") from error
    except sqlite3.DatabaseError as error:
        raise DamagedIndexError(
            f"the index {path} is damaged or no index ({_short(error)}): restore it from a copy"
        ) from error
    except (OverflowError, UnicodeError) as error:
        raise InputError(f"a value cannot be kept in the index {path}: {error}") from None
