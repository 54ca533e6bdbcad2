"""A collection in Milvus: a server by its URL, or a file of Milvus Lite."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_embed.errors import InputError, MissingExtraError, SearchEngineError
from edge_embed.integrations.search_engines.base import (
    FACTS,
    Collection,
    entry_key,
    facts_as_json,
    no_collection,
    read_facts,
)
from edge_embed.tasks.index.facts import StoreFacts
from edge_embed.tasks.index.index import Hit
from edge_embed.tasks.index.metadata import fits
from edge_embed.tasks.index.store import Entry
from edge_embed.tasks.vectors import Floats

try:
    from pymilvus import DataType, MilvusClient, MilvusException
    from pymilvus.exceptions import ConnectionConfigException
except ImportError:
    raise MissingExtraError("searching in Milvus", "milvus", "pymilvus") from None

__all__ = ["MilvusCollection"]

_TIMEOUT = 60.0  # seconds
_PAGE = 10_000
# Milvus' limit of the results of a search.
_MOST = 16_384
# Milvus' limit of a text and of an entry's metadata, in bytes.
_LONGEST = 65_535
_LEAST = -(2**63)
_CANNOT_CONNECT = 2


class MilvusCollection(Collection):
    """An open collection; see :class:`edge_embed.integrations.search_engines.base.Collection`."""

    def __init__(
        self, place: str, name: str, *, key: str | None = None, create: StoreFacts | None = None
    ) -> None:
        """Open a collection.

        Args:
            place: The URL of a server, or a file that ends in .db.
            name: The collection.
            key: The server's token, or ``USER:PASSWORD``.
            create: The settings of the index that will fill it, to create a missing collection.

        Raises:
            InputError: there is no such collection, or it was not made by this package.
            SearchEngineError: the server cannot be reached or refuses; the file is in use.
            MissingExtraError: ``place`` is a file and milvus-lite is not installed.
        """
        self.address = f"milvus:{place}#{name}"
        self._name = name
        if "://" not in place:
            _check_file(place, create=create is not None)
        with self._client_errors():
            self._client = MilvusClient(uri=place, token=key or "", timeout=_TIMEOUT)
        try:
            with self._client_errors():
                if not self._client.has_collection(name, timeout=_TIMEOUT):
                    self._create(create)
                known = self._client.describe_collection(name, timeout=_TIMEOUT)["properties"]
                self.facts = read_facts(self.address, known.get(FACTS))
                if create is not None and not self._client.list_indexes(name):
                    self._create_index()  # missing after an interrupted creation
                self._client.load_collection(name, timeout=_TIMEOUT)
        except BaseException:
            self._client.close()
            raise

    def upsert(self, entries: Sequence[Entry], vectors: Floats) -> None:
        """Add entries, or replace those with the same ids; stored when the call returns.

        Raises:
            InputError: a text, an id or metadata is longer than Milvus allows.
        """
        for entry in entries:
            as_json = json.dumps(
                entry.metadata, default=dict, ensure_ascii=False, separators=(",", ":")
            )
            _fitting(as_json, "metadata", entry)
        rows = [
            {
                "key": entry_key(entry.id),
                "id": _fitting(entry.id, "id", entry),
                "number": entry.number,
                "text": _fitting(entry.text, "text", entry),
                "metadata": dict(entry.metadata),
                "vector": vector,
            }
            for entry, vector in zip(entries, vectors, strict=True)
        ]
        with self._client_errors():
            self._client.upsert(self._name, rows, timeout=_TIMEOUT)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete entries by id; unknown ids are ignored."""
        with self._client_errors():
            self._client.delete(self._name, ids=[entry_key(id_) for id_ in ids], timeout=_TIMEOUT)

    def _nearest(
        self, queries: list[list[float]], k: int, choices: dict[str, list[Any]]
    ) -> list[list[Hit]]:
        limit = k
        while True:
            with self._client_errors():
                answers = self._client.search(
                    self._name,
                    queries,
                    filter=_filter(choices),
                    limit=limit,
                    output_fields=["id", "text", "metadata"],
                    timeout=_TIMEOUT,
                )
            # To Milvus Lite true is 1 and false is 0, so it may return others as well.
            hits = [
                [hit for hit in map(_hit, one) if fits(hit.metadata, choices)] for one in answers
            ]
            lacking = any(
                len(one) < k and len(answer) == limit
                for one, answer in zip(hits, answers, strict=True)
            )
            if not lacking or limit >= _MOST:
                return [one[:k] for one in hits]
            limit = min(4 * limit, _MOST)

    def held(self) -> Iterator[tuple[str, int]]:
        """Yield id and number of every entry, in any order."""
        with self._client_errors():
            pages = self._client.query_iterator(
                self._name,
                batch_size=_PAGE,
                output_fields=["id", "number"],
                timeout=_TIMEOUT,
            )
        while True:
            with self._client_errors():
                page = pages.next()
            if not page:
                break
            for row in page:
                yield row["id"], row["number"]
        pages.close()

    def __len__(self) -> int:
        with self._client_errors():
            (row,) = self._client.query(self._name, output_fields=["count(*)"], timeout=_TIMEOUT)
        return int(row["count(*)"])

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _create(self, facts: StoreFacts | None) -> None:
        if facts is None:
            raise no_collection(self.address)
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("key", DataType.VARCHAR, max_length=32, is_primary=True)
        schema.add_field("id", DataType.VARCHAR, max_length=_LONGEST)
        schema.add_field("number", DataType.INT64)
        schema.add_field("text", DataType.VARCHAR, max_length=_LONGEST)
        schema.add_field("metadata", DataType.JSON)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=facts.dim)
        self._client.create_collection(
            self._name,
            schema=schema,
            properties={FACTS: facts_as_json(facts)},
            # Of the collection, since an iterator has none of its own; a server's default is to
            # read what was written up to 5 seconds ago.
            consistency_level="Strong",
            timeout=_TIMEOUT,
        )

    def _create_index(self) -> None:
        indexes = self._client.prepare_index_params()
        # The cosine of vectors of unit length; with COSINE a server finds no vector of zeros.
        indexes.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
        self._client.create_index(self._name, indexes, timeout=_TIMEOUT)

    @contextmanager
    def _client_errors(self) -> Iterator[None]:
        """Turn the client's errors into a SearchEngineError."""
        try:
            yield
        except ConnectionConfigException as error:
            raise SearchEngineError(
                f"cannot open {self.address}: {error.message}; a file serves one process at a time"
            ) from error
        except MilvusException as error:
            if error.code == _CANNOT_CONNECT:
                raise SearchEngineError(
                    f"cannot reach {self.address}: is the server running there, and does it ask "
                    "for a key (--engine-key)?"
                ) from error
            raise SearchEngineError(f"{self.address} refuses: {error.message}") from error


def _check_file(place: str, *, create: bool) -> None:
    if not place.endswith(".db"):
        raise InputError(
            f"{place} is no place of Milvus: a server's URL begins with http://, a file ends in .db"
        )
    if not create and not Path(place).exists():
        raise InputError(f"no file of Milvus {place}")
    try:
        import milvus_lite  # noqa: F401
    except ImportError:
        raise MissingExtraError("a file of Milvus", "milvus", "milvus-lite") from None


def _fitting(text: str, what: str, entry: Entry) -> str:
    size = len(text.encode())
    if size > _LONGEST:
        raise InputError(
            f"the {what} of {entry.id!r:.40} has {size} bytes, and Milvus takes {_LONGEST}: "
            "shorten it in the index"
        )
    return text


def _filter(choices: dict[str, list[Any]]) -> str:
    """Return the expression for entries whose metadata has one of the values under each name."""
    parts = []
    for name, values in choices.items():
        field = f"metadata[{json.dumps(name, ensure_ascii=False)}]"
        fits = [f"{field} == {_literal(value)}" for value in values]
        parts.append(f"({' or '.join(fits)})")
    return " and ".join(parts)


def _literal(value: Any) -> str:  # noqa: ANN401
    """Return a value as Milvus' expressions write it."""
    # They read a sign apart from its digits, so the least integer's digits are too large for them.
    # As a float it finds its neighbours too, which `fits` leaves out.
    return json.dumps(float(value) if value == _LEAST else value, ensure_ascii=False)


def _hit(found: Any) -> Hit:  # noqa: ANN401
    entity = found["entity"]
    return Hit(entity["id"], entity["text"], entity["metadata"], min(found["distance"], 1.0))
