"""The tables of an index file, and how they are told from any other database."""

import sqlite3
import uuid
from collections.abc import Mapping
from functools import cache
from pathlib import Path

__all__ = ["APPLICATION", "SCHEMA", "fill", "own_schema", "schema_of"]

APPLICATION = 0x45456D62
""""EEmb": tells the file from any other SQLite database."""
SCHEMA = 1

TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE entries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    metadata TEXT NOT NULL
);
-- Apart, so that a filter by metadata does not read through all vectors.
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
    """Write an empty store."""
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
    """Return kind, name and text of everything in a schema.

    The text of full-text search's own tables is SQLite's and differs between its versions.
    """
    return {
        (kind, name, "" if name.startswith("words_") or sql is None else " ".join(sql.split()))
        for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master")
    }


@cache
def own_schema() -> frozenset[tuple[str, str, str]]:
    """Return the schema of an empty store: the only one that is opened."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(TABLES)
        return frozenset(schema_of(connection))
    finally:
        connection.close()
