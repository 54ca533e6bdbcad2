"""The tables of an index file, and how an index is recognised among other databases."""

import sqlite3
import uuid
from collections.abc import Mapping
from functools import cache
from pathlib import Path

__all__ = ["APPLICATION", "SCHEMA", "fill", "own_schema", "schema_of"]

APPLICATION = 0x45456D62
"""SQLite's application id of an index file, "EEmb"."""
SCHEMA = 1

TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE entries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    metadata TEXT NOT NULL
);
-- A table of its own, so that a filter by metadata does not read all vectors.
CREATE TABLE vectors (number INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE VIRTUAL TABLE words USING fts5(
    text, content='entries', content_rowid='number', tokenize='porter unicode61'
);
CREATE TRIGGER entry_added AFTER INSERT ON entries BEGIN
    INSERT INTO words (rowid, text) VALUES (new.number, new.text);
END;
CREATE TRIGGER entry_deleted AFTER DELETE ON entries BEGIN
    INSERT INTO words (words, rowid, text) VALUES ('delete', old.number, old.text);
    DELETE FROM vectors WHERE number = old.number;
END;
"""


def fill(path: Path, facts: Mapping[str, object]) -> None:
    """Write an empty store with these facts to ``path``."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.executescript(TABLES)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        values = dict(facts) | {"schema": SCHEMA, "identity": uuid.uuid4().hex}
        connection.executemany(
            "INSERT INTO facts VALUES (?, ?)",
            [(name, str(value)) for name, value in values.items()],
        )
    finally:
        connection.close()


def schema_of(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    """Return kind, name and SQL of everything in a schema.

    The SQL of full-text search's internal tables is left out, as it differs between versions.
    """
    return {
        (kind, name, "" if name.startswith("words_") or sql is None else " ".join(sql.split()))
        for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master")
    }


@cache
def own_schema() -> frozenset[tuple[str, str, str]]:
    """Return the schema of an empty store, the only one that is accepted."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(TABLES)
        return frozenset(schema_of(connection))
    finally:
        connection.close()
