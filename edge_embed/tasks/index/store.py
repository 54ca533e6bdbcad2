"""The store of an index: texts, ids, metadata and vectors in one SQLite file.

It uses a write-ahead log with full synchronisation: completed writes survive a kill or a power cut,
readers never wait, and there is one writer at a time. An entry's number is never reused and its
vector never changes (an update gets a new number), so a file derived from the store, as that of
HNSW, may be outdated but is never wrong about an entry that still exists.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from edge_embed.errors import DamagedIndexError, InputError, OutputError
from edge_embed.files.fork_lock import ForkLock
from edge_embed.files.json_text import JsonError, parse_json
from edge_embed.files.lock import owned_file
from edge_embed.files.write_errors import output_error
from edge_embed.tasks.index.connections import Connections
from edge_embed.tasks.index.entry_count import count_entries, keep_count
from edge_embed.tasks.index.facts import StoreFacts, VectorType
from edge_embed.tasks.index.metadata import (
    DOCUMENT,
    Where,
    document_values,
    metadata_as_json,
    sql_condition,
)
from edge_embed.tasks.index.query_words import query_words, rarest
from edge_embed.tasks.index.recent_filters import RecentFilters
from edge_embed.tasks.index.schema import APPLICATION, SCHEMA, fill, own_schema, schema_of
from edge_embed.tasks.index.sqlite_errors import sqlite_errors
from edge_embed.tasks.index.vector_blobs import pack, unpack
from edge_embed.tasks.vectors import Floats

__all__ = ["Entry", "Store"]

Numbers = npt.NDArray[np.int64]

_MAX_DIM = 1 << 20
_BLOCK = 4096  # vectors held at once
_BATCH = 500  # numbers in one statement
_RANKED = 20_000  # entries ranked by words; of more, those with a query's rarest words
_creating = ForkLock()  # a file lock does not exclude threads of one process


@dataclass(frozen=True)
class Entry:
    """One stored text."""

    number: int
    id: str
    text: str
    metadata: Mapping[str, Any]


class Store:
    """An open SQLite file; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Open a store.

        Raises:
            InputError: there is no such file, it is no index, damaged, or newer than this version.
        """
        self.path = Path(path)
        self.facts = StoreFacts(0, "float32", "", "")
        self._counted: tuple[tuple[int, int], int] | None = None
        self._filters = RecentFilters()
        self._connections = Connections(self.path, self._check)
        self._made_for = self.facts.model, self.facts.dim

    def _check(self, connection: sqlite3.Connection) -> None:
        """Read the file's facts and schema; refuse any file but an intact index of this program.

        Raises:
            InputError: it is another kind of file, damaged, or newer than this version.
        """
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION:
            raise InputError(f"{self.path} is not an index of edge-embed")
        try:
            facts = dict(connection.execute("SELECT name, value FROM facts"))
            schema, dim = int(facts["schema"]), int(facts["dim"])
            texts = [facts[name] for name in ("dtype", "model", "model_name", "identity")]
            if not all(isinstance(text, str) for text in texts):
                raise TypeError
        except (KeyError, ValueError, TypeError):
            raise self._damaged("its facts are incomplete") from None
        if schema > SCHEMA:
            raise InputError(
                f"{self.path} has schema {schema}, newer than this version reads "
                f"({SCHEMA}); upgrade edge-embed"
            )
        strange = schema_of(connection).symmetric_difference(own_schema())
        if strange:
            kind, name = min(strange)[:2]
            raise self._damaged(f"its {kind} {name!r:.40} is not as this program makes it")
        if not 1 <= dim <= _MAX_DIM or texts[0] not in get_args(VectorType):
            raise self._damaged("its facts are wrong")
        self.facts = StoreFacts(dim, *texts)

    @classmethod
    def create(cls, path: Path, facts: StoreFacts) -> "Store":
        """Create an empty store.

        Raises:
            OutputError: the file exists or cannot be written.
            InputError: the facts are wrong.
        """
        path = Path(path)
        if facts.dim < 1 or facts.dtype not in ("float32", "int8"):
            raise InputError(f"no index of {facts.dim} dimensions as {facts.dtype}")
        if path.exists():
            raise OutputError(f"{path} already exists; delete it first, or choose another name")
        if not path.resolve().parent.is_dir():
            raise OutputError(f"cannot write {path}: its folder {path.parent} does not exist")
        # Written beside and renamed, so that a killed process leaves no incomplete index.
        temporary = path.with_name(f".{path.name}.part")
        try:
            with _creating, owned_file(path), sqlite_errors(path):
                if path.exists():  # created by another process meanwhile
                    raise OutputError(f"{path} already exists: another process has made it")
                temporary.unlink(missing_ok=True)
                try:
                    fill(temporary, vars(facts))
                    temporary.rename(path)
                finally:
                    temporary.unlink(missing_ok=True)
        except OSError as error:
            raise output_error(path, error) from error
        return cls(path)

    def add(
        self,
        ids: Sequence[str],
        texts: Sequence[str],
        metadata: Sequence[Mapping[str, Any]],
        vectors: Floats,
        *,
        replaces: Sequence[str] = (),
    ) -> None:
        """Add entries and delete those with the same ids or in ``replaces``. Durable on return.

        Vectors have unit length, float32 (n, dim). Documents are deleted with their passages.
        """
        blobs = pack(vectors, self.facts.dtype)
        rows = [
            (id_, text, metadata_as_json(id_, data, text), blob)
            for id_, text, data, blob in zip(ids, texts, metadata, blobs, strict=True)
        ]
        with self._connections.writer() as connection:
            if (self.facts.model, self.facts.dim) != self._made_for:
                raise OutputError(
                    f"{self.path} was replaced by an index of the model {self.facts.model_name} "
                    "while it was open: open it again, and make the vectors with that model"
                )
            gone = map(document_values, dict.fromkeys([*replaces, *ids]))
            deleted = connection.executemany(
                f"DELETE FROM entries WHERE {DOCUMENT}",  # noqa: S608
                gone,
            ).rowcount
            for *entry, vector in rows:
                added = connection.execute(
                    "INSERT INTO entries (id, text, metadata) VALUES (?, ?, ?)", entry
                )
                connection.execute("INSERT INTO vectors VALUES (?, ?)", (added.lastrowid, vector))
            keep_count(connection, len(rows) - max(0, deleted))

    def delete(self, ids: Iterable[str]) -> int:
        """Delete entries with their passages; return how many existed. Durable on return."""
        statement = f"DELETE FROM entries WHERE {DOCUMENT}"  # noqa: S608
        with self._connections.writer() as connection:
            deleted = [connection.execute(statement, document_values(id_)).rowcount for id_ in ids]
            keep_count(connection, -sum(deleted))
        return sum(count > 0 for count in deleted)

    def known(self, ids: Iterable[str]) -> set[str]:
        """Return those ids that exist, whole or as passages."""
        statement = f"SELECT 1 FROM entries WHERE {DOCUMENT} LIMIT 1"  # noqa: S608
        return {id_ for id_ in ids if self._query(statement, document_values(id_))}

    def __len__(self) -> int:
        version, counted = self.version(), self._counted
        if counted is None or counted[0] != version:
            with self._connections.reader() as connection:
                counted = self._counted = (version, count_entries(connection))
        return counted[1]

    def version(self) -> tuple[int, int]:
        """Return numbers that change with every write, by this connection or by another."""
        return self._connections.version()

    def newest_ever(self) -> int:
        """Return the highest entry number ever used."""
        rows = self._query("SELECT seq FROM sqlite_sequence WHERE name = 'entries'")
        return int(rows[0][0]) if rows else 0

    def numbers(self, where: Where | None = None, *, after: int = 0) -> Numbers:
        """Return the numbers above ``after`` of entries that match ``where``, ascending."""
        clause, values = sql_condition(where)

        def read() -> Numbers:
            rows = self._query(
                f"SELECT number FROM entries WHERE number > ?{clause} ORDER BY number",  # noqa: S608
                (after, *values),
            )
            return np.fromiter((row[0] for row in rows), np.int64, len(rows))

        if not clause:
            return read()
        return self._filters.numbers(self.version(), (clause, *values, after), read)

    def ids(self, where: Where | None = None) -> dict[int, str]:
        """Return the ids of entries that match ``where``: number to id, ascending."""
        clause, values = sql_condition(where)
        statement = f"SELECT number, id FROM entries WHERE 1{clause} ORDER BY number"  # noqa: S608
        return dict(self._query(statement, values))

    def distinct(self, names: Sequence[str], where: Where) -> list[tuple[Any, ...]]:
        """Return the distinct values of the metadata ``names`` in entries that match ``where``."""
        columns = ", ".join("json_extract(entries.metadata, ?)" for _ in names)
        clause, values = sql_condition(where)
        return self._query(
            f"SELECT DISTINCT {columns} FROM entries WHERE 1{clause}",  # noqa: S608
            (*(f'$."{name}"' for name in names), *values),
        )

    def vectors(self, numbers: Sequence[int] | Numbers) -> tuple[Numbers, Floats]:
        """Return those numbers that exist, ascending, and their unit vectors, float32 (n, dim)."""
        found = list(self._by_number("vectors", "number, vector", numbers))
        found.sort()
        return self._unpacked(found)

    def vectors_after(self, number: int) -> tuple[Numbers, Floats]:
        """Return the result of :meth:`vectors` for all numbers above ``number``."""
        statement = "SELECT number, vector FROM vectors WHERE number > ? ORDER BY number"
        return self._unpacked(self._query(statement, (number,)))

    def blocks(self, numbers: Numbers) -> Iterator[tuple[Numbers, Floats]]:
        """Yield the result of :meth:`vectors` for blocks of some thousand numbers."""
        for start in range(0, len(numbers), _BLOCK):
            self.check_stop()
            yield self.vectors(numbers[start : start + _BLOCK])

    def present(self, numbers: Sequence[int]) -> set[int]:
        """Return those numbers of which an entry exists."""
        return {row[0] for row in self._by_number("entries", "number", numbers)}

    def entries(self, numbers: Sequence[int] | Numbers) -> dict[int, Entry]:
        """Return those entries that exist: number to entry."""
        rows = self._by_number("entries", "number, id, text, metadata", numbers)
        return {row[0]: self._entry(*row) for row in rows}

    def _entry(self, number: int, id_: object, text: object, metadata: object) -> Entry:
        try:
            values = parse_json(metadata) if isinstance(metadata, str) else None
        except JsonError as error:
            raise self._damaged(f"metadata are {error}") from None
        if not (isinstance(id_, str) and isinstance(text, str) and isinstance(values, dict)):
            raise self._damaged("an entry has another type")
        return Entry(number, id_, text, values)

    def by_id(self, ids: Sequence[str]) -> list[Entry]:
        """Return the entries with these ids, in the order given; unknown ids are skipped."""
        found = []
        for id_ in ids:
            rows = self._query("SELECT number FROM entries WHERE id = ?", (id_,))
            found += list(self.entries([row[0] for row in rows]).values())
        return found

    def words(self, query: str, count: int, where: Where | None = None) -> list[int]:
        """Return the numbers of the ``count`` best entries for any word of ``query``, by BM25."""
        terms = [f'"{word}"' for word in query_words(query)]
        if len(self) > _RANKED:
            terms = rarest(terms, self._count, _RANKED)
        if not terms:
            return []
        clause, values = sql_condition(where)
        rows = self._query(
            "SELECT words.rowid FROM words JOIN entries ON entries.number = words.rowid "  # noqa: S608
            f"WHERE words MATCH ?{clause} ORDER BY bm25(words), words.rowid LIMIT ?",
            (" OR ".join(terms), *values, count),
        )
        return [row[0] for row in rows]

    def _count(self, term: str, most: int) -> int:
        """Return how many entries have a word, at most ``most``."""
        statement = "SELECT 1 FROM words WHERE words MATCH ? LIMIT ?"
        return len(self._query(statement, (term, most)))

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """Block writers during the block, which may replace the file."""
        with self._connections.writer():
            yield

    def close(self) -> None:
        """Close the file."""
        self._connections.close()

    def stopping(self, stop: Callable[[], bool]) -> AbstractContextManager[None]:
        """End what this thread reads within the block once ``stop`` is true."""
        return self._connections.stopping(stop)

    def check_stop(self) -> None:
        """Raise if this thread's work should stop (:meth:`stopping`)."""
        self._connections.check_stop()

    def _unpacked(self, rows: Sequence[tuple[Any, ...]]) -> tuple[Numbers, Floats]:
        try:
            unit = unpack([row[1] for row in rows], self.facts.dim, self.facts.dtype)
        except ValueError as error:
            raise self._damaged(str(error)) from None
        return np.array([row[0] for row in rows], np.int64), unit

    def _by_number(
        self, table: str, columns: str, numbers: Sequence[int] | Numbers
    ) -> Iterator[tuple[Any, ...]]:
        asked = [int(number) for number in numbers]
        for start in range(0, len(asked), _BATCH):
            part = asked[start : start + _BATCH]
            marks = ",".join("?" * len(part))
            yield from self._query(
                f"SELECT {columns} FROM {table} WHERE number IN ({marks})",  # noqa: S608
                part,
            )

    def _query(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._connections.reader() as connection:
            return connection.execute(statement, values).fetchall()

    def _damaged(self, what: str) -> DamagedIndexError:
        return DamagedIndexError(
            f"the index {self.path} is damaged ({what}): restore it from a copy"
        )
