"""A collection of Qdrant Edge: Qdrant's engine within the process, on a folder without a server."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from edge_embed.errors import InputError, MissingExtraError, SearchEngineError
from edge_embed.files.atomic import atomic_file
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
    import qdrant_edge as qdrant
except ImportError:
    raise MissingExtraError("searching in Qdrant Edge", "qdrant-edge", "qdrant-edge-py") from None

__all__ = ["QdrantEdgeCollection"]

_PAGE = 10_000
# From here on, different whole numbers are the same float64.
_EXACT_INTEGER = 2**53


class QdrantEdgeCollection(Collection):
    """An open shard; see :class:`edge_embed.integrations.search_engines.base.Collection`.

    A shard is a folder, which can be copied to another machine while no process has it open. The
    settings of the index are in a file in that folder, as a shard stores nothing but points.
    """

    def __init__(
        self, place: str, name: str, *, key: str | None = None, create: StoreFacts | None = None
    ) -> None:
        """Open a shard.

        Args:
            place: The parent of the shard's folder.
            name: The name of the shard's folder.
            key: Not used: there is no server.
            create: The settings of the index that will fill it, to create a missing shard.

        Raises:
            InputError: there is no such folder, or it was not made by this package.
            SearchEngineError: another process has it open.
        """
        self.address = f"qdrant-edge:{place}#{name}"
        if name in (".", "..") or Path(name).name != name:
            raise InputError(f"{name!r} is no name of a folder: write qdrant-edge:FOLDER#NAME")
        folder = Path(place, name)
        facts = folder / f"{FACTS}.json"
        if not folder.is_dir() and create is None:
            raise no_collection(self.address)
        if create is not None and not facts.exists() and not (folder / "segments").exists():
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_file(facts) as part:
                part.write_text(facts_as_json(create), encoding="utf-8")
        known = facts.read_text(encoding="utf-8") if facts.is_file() else None
        self.facts = read_facts(self.address, known)
        with self._client_errors():
            self._shard = self._open(folder)
        self._changed = False

    def upsert(self, entries: Sequence[Entry], vectors: Floats) -> None:
        """Add entries, or replace those with the same ids; stored when the call returns."""
        points = [
            qdrant.Point(
                entry_key(entry.id),
                vector,
                {
                    "id": entry.id,
                    "number": entry.number,
                    "text": entry.text,
                    "metadata": dict(entry.metadata),
                    "truths": _booleans(entry.metadata),
                },
            )
            for entry, vector in zip(entries, vectors.tolist(), strict=True)
        ]
        self._update(qdrant.UpdateOperation.upsert_points(points))

    def delete(self, ids: Sequence[str]) -> None:
        """Delete entries by id; unknown ids are ignored."""
        self._update(qdrant.UpdateOperation.delete_points([entry_key(id_) for id_ in ids]))

    def _nearest(
        self, queries: list[list[float]], k: int, choices: dict[str, list[Any]]
    ) -> list[list[Hit]]:
        requests = [
            qdrant.QueryRequest(
                limit=k,
                query=qdrant.Query.Nearest(query),
                filter=_filter(choices),
                with_payload=True,
            )
            for query in queries
        ]
        with self._client_errors():
            answers = self._shard.query_batch(qdrant.QueryBatchRequest(requests))
        return [[_hit(point) for point in answer] for answer in answers]

    def held(self) -> Iterator[tuple[str, int]]:
        """Yield id and number of every entry, in any order."""
        offset = None
        while True:
            request = qdrant.ScrollRequest(offset, _PAGE, with_payload=["id", "number"])
            with self._client_errors():
                page, offset = self._shard.scroll(request)
            for record in page:
                yield record.payload["id"], record.payload["number"]
            if offset is None:
                return

    def __len__(self) -> int:
        with self._client_errors():
            return int(self._shard.count(qdrant.CountRequest(exact=True)))

    def close(self) -> None:
        """Close the shard; another process can then open its folder."""
        with self._client_errors():
            self._shard.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._changed:
                with self._client_errors():
                    self._shard.optimize()  # builds the HNSW graph, if there are enough points
        finally:
            self.close()

    def _open(self, folder: Path) -> Any:  # noqa: ANN401
        if (folder / "segments").exists():
            return qdrant.EdgeShard.load(str(folder))
        size = qdrant.EdgeVectorParams(size=self.facts.dim, distance=qdrant.Distance.Cosine)
        return qdrant.EdgeShard.create(str(folder), qdrant.EdgeConfig(vectors=size))

    def _update(self, operation: Any) -> None:  # noqa: ANN401
        with self._client_errors():
            self._shard.update(operation)
            self._shard.flush()
        self._changed = True

    @contextmanager
    def _client_errors(self) -> Iterator[None]:
        """Turn the engine's errors into a SearchEngineError."""
        try:
            yield
        except Exception as error:  # the engine raises no more specific class
            in_use = "WouldBlock" in str(error)
            reason = "a folder serves one process at a time" if in_use else str(error)
            raise SearchEngineError(f"cannot open {self.address}: {reason}") from error


def _filter(choices: dict[str, list[Any]]) -> Any:  # noqa: ANN401
    """Return the filter for ``choices``, see ``Collection._nearest``."""
    return qdrant.Filter(
        must=[
            qdrant.Filter(should=[_equals(name, value) for value in values])
            for name, values in choices.items()
        ]
    )


def _booleans(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the booleans as text, since qdrant-edge-py 0.9 would match True as the number 1."""
    return {name: str(value) for name, value in metadata.items() if isinstance(value, bool)}


def _equals(name: str, value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, bool):
        return qdrant.FieldCondition(f'truths."{name}"', match=qdrant.MatchValue(str(value)))
    field = f'metadata."{name}"'
    number = isinstance(value, (int, float))
    if number and (isinstance(value, float) or abs(value) < _EXACT_INTEGER):  # 3 also matches 3.0
        return qdrant.FieldCondition(field, range=qdrant.RangeFloat(gte=value, lte=value))
    return qdrant.FieldCondition(field, match=qdrant.MatchValue(value))


def _hit(point: Any) -> Hit:  # noqa: ANN401
    payload = point.payload
    return Hit(payload["id"], payload["text"], payload["metadata"], min(point.score, 1.0))
