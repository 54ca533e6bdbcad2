"""A collection in PostgreSQL: a table whose vectors pgvector compares."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from edge_embed.errors import InputError, MissingExtraError, SearchEngineError
from edge_embed.integrations.search_engines.base import (
    Collection,
    entry_key,
    facts_as_json,
    no_collection,
    read_facts,
)
from edge_embed.tasks.index.facts import StoreFacts
from edge_embed.tasks.index.index import Hit
from edge_embed.tasks.index.store import Entry
from edge_embed.tasks.vectors import Floats

try:
    import psycopg
    from psycopg import sql
except ImportError:
    raise MissingExtraError("searching in PostgreSQL", "postgresql", "psycopg") from None

__all__ = ["PostgresqlCollection"]

_TIMEOUT = 60  # seconds
_PAGE = 10_000
_LONGEST_NAME = 63  # bytes; PostgreSQL cuts longer ones
_MOST_INDEXED = 2000  # dimensions that pgvector's HNSW index allows
_MOST_CANDIDATES = 1000  # the highest value of pgvector's hnsw.ef_search
_NUL = re.compile("\0")
_NUL_IN_JSON = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # the backslash is not escaped
_PGVECTOR = (0, 8)  # the first version with iterative scans of an index


class PostgresqlCollection(Collection):
    """An open table; see :class:`edge_embed.integrations.search_engines.base.Collection`.

    Vectors of up to 2,000 dimensions get an HNSW index; a search is approximate if the planner uses
    it. Searches in longer vectors are exact, without an index.
    """

    def __init__(
        self, place: str, name: str, *, key: str | None = None, create: StoreFacts | None = None
    ) -> None:
        """Open a table.

        Args:
            place: A server and its database as ``//HOST:PORT/DATABASE``, the address without its
                scheme.
            name: The table.
            key: The user's password.
            create: The settings of the index that will fill it, to create a missing table.

        Raises:
            InputError: there is no such table, it was not made by this package, or the address is
                invalid.
            SearchEngineError: the server cannot be reached or refuses, or has no pgvector.
        """
        self.address = f"postgresql:{place}#{name}"
        self._table = sql.Identifier(name)
        if len(name.encode()) > _LONGEST_NAME or "%" in name:
            raise InputError(
                f"a table's name has up to {_LONGEST_NAME} bytes and no %: choose another than "
                f"{name!r}"
            )
        self._connection = self._connect(place, key)
        try:
            with self._client_errors():
                known = self._comment(name)
                if known is None:
                    self._create(create)
                    known = self._comment(name)
                self.facts = read_facts(self.address, known)
                self._check_extension()
                # Continue the scan of the index until enough entries pass the filter.
                self._connection.execute("SET hnsw.iterative_scan = 'strict_order'")
        except BaseException:
            self._connection.close()
            raise

    def upsert(self, entries: Sequence[Entry], vectors: Floats) -> None:
        """Add entries, or replace those with the same ids; stored when the call returns.

        Raises:
            InputError: a text contains a NUL character.
        """
        rows = [
            (
                entry_key(entry.id),
                _storable(entry.id, "id", entry),
                entry.number,
                _storable(entry.text, "text", entry),
                _storable(_json(entry.metadata), "metadata", entry, nul=_NUL_IN_JSON),
                _json(vector),
            )
            for entry, vector in zip(entries, vectors.tolist(), strict=True)
        ]
        statement = sql.SQL(
            "INSERT INTO {} (key, id, number, text, metadata, vector) "
            "VALUES (%s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (key) DO UPDATE SET id = excluded.id, number = excluded.number, "
            "text = excluded.text, metadata = excluded.metadata, vector = excluded.vector"
        ).format(self._table)
        with (
            self._client_errors(),
            self._connection.transaction(),
            self._connection.cursor() as cursor,
        ):
            cursor.executemany(statement, rows)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete entries by id; unknown ids are ignored."""
        statement = sql.SQL("DELETE FROM {} WHERE key = ANY(%s::uuid[])").format(self._table)
        with self._client_errors():
            self._connection.execute(statement, [[entry_key(id_) for id_ in ids]])

    def _nearest(
        self, queries: list[list[float]], k: int, choices: dict[str, list[Any]]
    ) -> list[list[Hit]]:
        condition, values = _filter(choices)
        statement = sql.SQL(
            "SELECT id, text, metadata, -(vector <#> %s::vector) FROM {} WHERE {} "
            "ORDER BY vector <#> %s::vector LIMIT %s"
        ).format(self._table, condition)
        candidates = min(max(2 * k, 100), _MOST_CANDIDATES)
        found = []
        with self._client_errors():
            self._connection.execute(
                "SELECT set_config('hnsw.ef_search', %s, false)", [str(candidates)]
            )
            for query in map(_json, queries):
                rows = self._connection.execute(statement, [query, *values, query, k])
                found.append([_hit(*row) for row in rows])
        return found

    def held(self) -> Iterator[tuple[str, int]]:
        """Yield id and number of every entry, in any order."""
        statement = sql.SQL(
            "SELECT key, id, number FROM {} WHERE key > %s::uuid ORDER BY key LIMIT %s"
        ).format(self._table)
        last: object = "0" * 32  # no entry has this key
        while True:
            with self._client_errors():
                rows = self._connection.execute(statement, [last, _PAGE]).fetchall()
            if not rows:
                return
            yield from ((id_, number) for _, id_, number in rows)
            last = rows[-1][0]

    def __len__(self) -> int:
        with self._client_errors():
            count = sql.SQL("SELECT count(*) FROM {}").format(self._table)
            (number,) = self._connection.execute(count).fetchone() or (0,)
        return int(number)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _connect(self, place: str, key: str | None) -> "psycopg.Connection[Any]":
        if not place.startswith("//"):
            raise InputError(
                f"{place} is no place of PostgreSQL: write postgresql://HOST/DATABASE#TABLE"
            )
        if urlsplit(place).password is not None:
            raise InputError(
                "an address is shown in messages, so it holds no password: give that with "
                "--engine-key or EDGE_EMBED_ENGINE_KEY"
            )
        options = f"-c statement_timeout={_TIMEOUT}s -c client_min_messages=warning"
        try:
            return psycopg.connect(
                f"postgresql:{place}",
                autocommit=True,
                connect_timeout=_TIMEOUT,
                options=options,
                **({} if key is None else {"password": key}),
            )
        except psycopg.OperationalError as error:
            wants = "password" in str(error)
            raise SearchEngineError(
                f"cannot reach {self.address}: {_line(error)}; "
                + (
                    "give the password with --engine-key"
                    if wants
                    else "is the server running there?"
                )
            ) from error
        except psycopg.ProgrammingError as error:
            raise InputError(f"{self.address} is no URL of PostgreSQL: {_line(error)}") from error

    def _comment(self, name: str) -> str | None:
        """Return a table's comment, "" if it has none; None if there is no such table."""
        (there, comment) = self._connection.execute(
            "SELECT to_regclass(quote_ident(%s)), "
            "obj_description(to_regclass(quote_ident(%s)), 'pg_class')",
            [name, name],
        ).fetchone() or (None, None)
        return None if there is None else comment or ""

    def _create(self, facts: StoreFacts | None) -> None:
        if facts is None:
            raise no_collection(self.address)
        connection, table = self._connection, self._table
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except psycopg.Error as error:
            raise SearchEngineError(
                f"{self.address} has no pgvector ({_line(error)}): let its administrator install "
                "it and run CREATE EXTENSION vector"
            ) from error
        self._check_extension()
        # One transaction, so that no table is left without its comment or its indexes.
        with connection.transaction():
            columns = sql.SQL(
                "CREATE TABLE {} (key uuid PRIMARY KEY, id text NOT NULL, number bigint NOT NULL, "
                "text text NOT NULL, metadata jsonb NOT NULL, vector vector({}) NOT NULL)"
            )
            connection.execute(columns.format(table, sql.Literal(facts.dim)))
            by_metadata = "CREATE INDEX ON {} USING gin (metadata jsonb_path_ops)"
            connection.execute(sql.SQL(by_metadata).format(table))
            if facts.dim <= _MOST_INDEXED:
                graph = "CREATE INDEX ON {} USING hnsw (vector vector_ip_ops)"
                connection.execute(sql.SQL(graph).format(table))
            comment = sql.SQL("COMMENT ON TABLE {} IS {}")
            connection.execute(comment.format(table, sql.Literal(facts_as_json(facts))))

    def _check_extension(self) -> None:
        (version,) = self._connection.execute(
            "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
        ).fetchone() or ("0",)
        if tuple(int(part) for part in version.split(".")[:2]) < _PGVECTOR:
            raise SearchEngineError(
                f"{self.address} has pgvector {version}, and 0.8 or later is needed: let its "
                "administrator run ALTER EXTENSION vector UPDATE"
            )

    @contextmanager
    def _client_errors(self) -> Iterator[None]:
        """Turn the client's errors into a SearchEngineError."""
        try:
            yield
        except psycopg.OperationalError as error:
            raise SearchEngineError(
                f"{self.address} does not answer: {_line(error)}; is the server still running?"
            ) from error
        except psycopg.Error as error:
            raise SearchEngineError(f"{self.address} refuses: {_line(error)}") from error


def _storable(text: str, what: str, entry: Entry, *, nul: re.Pattern[str] = _NUL) -> str:
    if nul.search(text):
        raise InputError(
            f"the {what} of {entry.id!r:.40} holds a NUL character, which PostgreSQL does not "
            "take: remove it in the index"
        )
    return text


def _filter(choices: dict[str, list[Any]]) -> tuple[sql.Composable, list[str]]:
    """Return the SQL condition for ``choices``, see ``Collection._nearest``, and its parameters."""
    parts = [sql.SQL("true")]
    values = []
    for name, wanted in choices.items():
        fits = " OR ".join(["metadata @> %s::jsonb"] * len(wanted))
        parts.append(sql.SQL(f"({fits})"))
        values += [_json({name: value}) for value in wanted]
    return sql.SQL(" AND ").join(parts), values


def _hit(id_: str, text: str, metadata: dict[str, Any], score: float) -> Hit:
    return Hit(id_, text, metadata, min(score, 1.0))


def _json(value: Any) -> str:  # noqa: ANN401
    return json.dumps(value, default=dict)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
