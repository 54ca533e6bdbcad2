"""The number of entries, kept in the file: SQLite counts by reading an index of the whole table.

The row ``entries`` of the table ``facts`` has the number of the transaction that wrote it (the row
``writes``) and the count. A count of another transaction than the last, as an earlier version of
this package leaves it, is not used.
"""

import sqlite3

__all__ = ["count_entries", "keep_count"]

_COUNT = "SELECT count(*) FROM entries"


def count_entries(connection: sqlite3.Connection) -> int:
    """Return the number of entries as the connection sees them."""
    facts = _facts(connection)
    writes, _, count = facts.get("entries", "").partition(" ")
    if writes == facts.get("writes") and count.isdecimal():
        return int(count)
    return int(connection.execute(_COUNT).fetchone()[0])


def keep_count(connection: sqlite3.Connection, change: int) -> None:
    """Write the number of entries at the end of a transaction.

    Args:
        connection: It has begun the transaction and has counted it in the row ``writes``.
        change: By how much the transaction has changed the number.
    """
    facts = _facts(connection)
    now = int(facts["writes"])
    before, _, count = facts.get("entries", "").partition(" ")
    if before.isdecimal() and int(before) == now - 1 and count.isdecimal():
        entries = int(count) + change
    else:
        entries = int(connection.execute(_COUNT).fetchone()[0])
    row = ("entries", f"{facts['writes']} {entries}")
    connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", row)


def _facts(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, value FROM facts WHERE name IN ('writes', 'entries')")
    return {name: str(value) for name, value in rows}
