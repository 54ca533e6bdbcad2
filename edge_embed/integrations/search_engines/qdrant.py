"""A collection in Qdrant: a server by its URL, or a folder that this process opens by itself."""

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
from edge_embed.tasks.index.store import Entry
from edge_embed.tasks.vectors import Floats

try:
    from qdrant_client import QdrantClient, models
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
except ImportError:
    raise MissingExtraError("searching in Qdrant", "qdrant", "qdrant-client") from None

__all__ = ["QdrantCollection"]

_TIMEOUT = 60  # seconds
_PAGE = 10_000
# From here on, different whole numbers are the same float64.
_EXACT_INTEGER = 2**53


class QdrantCollection(Collection):
    """An open collection; see :class:`edge_embed.integrations.search_engines.base.Collection`."""

    def __init__(
        self, place: str, name: str, *, key: str | None = None, create: StoreFacts | None = None
    ) -> None:
        """Open a collection.

        Args:
            place: The URL of a server (1.16 or later), a folder, or ``:memory:``.
            name: The collection.
            key: The server's API key.
            create: The settings of the index that will fill it, to create a missing collection.

        Raises:
            InputError: there is no such collection, or it was not made by this package.
            SearchEngineError: the server cannot be reached or refuses; the folder is in use.
        """
        self.address = f"qdrant:{place}#{name}"
        self._name = name
        remote = "://" in place
        if not remote and not create and not Path(place, "meta.json").is_file():
            raise InputError(f"no folder of Qdrant {place}: a server's URL begins with http://")
        with self._client_errors():
            self._client = _connect(place, key)
        try:
            with self._client_errors():
                if not self._client.collection_exists(name):
                    self._create(create)
                known = self._client.get_collection(name).config.metadata or {}
            self.facts = read_facts(self.address, known.get(FACTS))
        except BaseException:
            self._client.close()
            raise

    def upsert(self, entries: Sequence[Entry], vectors: Floats) -> None:
        """Add entries, or replace those with the same ids; stored when the call returns."""
        points = [
            models.PointStruct(
                id=entry_key(entry.id),
                vector=vector,
                payload={
                    "id": entry.id,
                    "number": entry.number,
                    "text": entry.text,
                    "metadata": dict(entry.metadata),
                },
            )
            for entry, vector in zip(entries, vectors.tolist(), strict=True)
        ]
        with self._client_errors():
            self._client.upsert(self._name, points, wait=True)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete entries by id; unknown ids are ignored."""
        chosen = models.PointIdsList(points=[entry_key(id_) for id_ in ids])
        with self._client_errors():
            self._client.delete(self._name, chosen, wait=True)

    def _nearest(
        self, queries: list[list[float]], k: int, choices: dict[str, list[Any]]
    ) -> list[list[Hit]]:
        condition = _filter(choices)
        requests = [
            models.QueryRequest(query=query, filter=condition, limit=k, with_payload=True)
            for query in queries
        ]
        with self._client_errors():
            answers = self._client.query_batch_points(self._name, requests)
        return [[_hit(point) for point in answer.points] for answer in answers]

    def held(self) -> Iterator[tuple[str, int]]:
        """Yield id and number of every entry, in any order."""
        offset = None
        while True:
            with self._client_errors():
                page, offset = self._client.scroll(
                    self._name, limit=_PAGE, offset=offset, with_payload=["id", "number"]
                )
            for record in page:
                payload = record.payload or {}
                yield payload["id"], payload["number"]
            if offset is None:
                return

    def __len__(self) -> int:
        with self._client_errors():
            return self._client.count(self._name, exact=True).count

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _create(self, facts: StoreFacts | None) -> None:
        if facts is None:
            raise no_collection(self.address)
        size = models.VectorParams(size=facts.dim, distance=models.Distance.COSINE)
        try:
            self._client.create_collection(
                self._name, vectors_config=size, metadata={FACTS: facts_as_json(facts)}
            )
        except ValueError as error:  # a local folder, with an invalid name
            raise InputError(f"cannot make the collection {self.address}: {error}") from error

    @contextmanager
    def _client_errors(self) -> Iterator[None]:
        """Turn the client's errors into a SearchEngineError."""
        try:
            yield
        except ResponseHandlingException as error:
            raise SearchEngineError(
                f"cannot reach {self.address}: {error.source}; is the server running there?"
            ) from error
        except UnexpectedResponse as error:
            refused = error.status_code in (401, 403)
            raise SearchEngineError(
                f"{self.address} refuses: {_reason(error)}"
                + ("; give the server's key with --engine-key" if refused else "")
            ) from error
        except (OSError, RuntimeError) as error:  # a local folder that is a file, or in use
            raise SearchEngineError(f"cannot open {self.address}: {error}") from error


def _connect(place: str, key: str | None) -> QdrantClient:
    if place == ":memory:":
        return QdrantClient(place)
    if "://" not in place:
        return QdrantClient(path=place)
    try:
        # A server that is too old does not store the settings, which :func:`read_facts` reports.
        return QdrantClient(url=place, api_key=key, timeout=_TIMEOUT, check_compatibility=False)
    except ValueError as error:
        raise InputError(f"{place} is no URL of a server: {error}") from error


def _filter(choices: dict[str, list[Any]]) -> models.Filter:
    """Return the filter for ``choices``, see ``Collection._nearest``."""
    return models.Filter(
        must=[
            models.Filter(should=[_equals(f'metadata."{name}"', value) for value in values])
            for name, values in choices.items()
        ]
    )


def _equals(field: str, value: Any) -> models.FieldCondition:  # noqa: ANN401
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and (isinstance(value, float) or abs(value) < _EXACT_INTEGER):  # 3 also matches 3.0
        return models.FieldCondition(key=field, range=models.Range(gte=value, lte=value))
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _hit(point: models.ScoredPoint) -> Hit:
    payload = point.payload or {}
    return Hit(payload["id"], payload["text"], payload["metadata"], min(point.score, 1.0))


def _reason(error: UnexpectedResponse) -> str:
    try:
        return str(error.structured()["status"]["error"])
    except (KeyError, TypeError, ValueError):
        return f"{error.status_code} {error.reason_phrase}"
