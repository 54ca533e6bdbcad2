"""A collection of Qdrant Edge: Qdrant's engine inside a process, whose folder goes to a device."""

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
from edge_embed.tasks.index.index import Hit
from edge_embed.tasks.index.store import Entry, StoreFacts
from edge_embed.tasks.vectors import Floats

try:
    import qdrant_edge as qdrant
except ImportError:
    raise MissingExtraError("searching in Qdrant Edge", "qdrant-edge", "qdrant-edge-py") from None

__all__ = ["QdrantEdgeCollection"]

_PAGE = 10_000
# Above, a float no longer tells a whole number from the next.
_WHOLE = 2**53


class QdrantEdgeCollection(Collection):
    """An open shard; see :class:`edge_embed.integrations.search_engines.base.Collection`.

    It is a folder of its own, which can be copied where nobody has it open. What an index's facts
    are stands in a file of that folder, since a shard remembers nothing beside its points.
    """

    def __init__(
        self, place: str, name: str, *, key: str | None = None, create: StoreFacts | None = None
    ) -> None:
        """Open a shard.

        Args:
            place: The folder of its folder.
            name: The name of its folder.
            key: Not used: there is no server.
            create: Of the index that will fill it: makes the folder where it is missing.

        Raises:
            InputError: there is no such folder, or it holds something else.
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
        with self._told():
            self._shard = self._open(folder)
        self._changed = False

    def upsert(self, entries: Sequence[Entry], vectors: Floats) -> None:
        """Add entries, or replace those whose id is there; held by the engine on return."""
        points = [
            qdrant.Point(
                entry_key(entry.id),
                vector,
                {
                    "id": entry.id,
                    "number": entry.number,
                    "text": entry.text,
                    "metadata": dict(entry.metadata),
                    "truths": _truths(entry.metadata),
                },
            )
            for entry, vector in zip(entries, vectors.tolist(), strict=True)
        ]
        self._update(qdrant.UpdateOperation.upsert_points(points))

    def delete(self, ids: Sequence[str]) -> None:
        """Delete entries by id; ids that are not there are passed over."""
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
        with self._told():
            answers = self._shard.query_batch(qdrant.QueryBatchRequest(requests))
        return [[_hit(point) for point in answer] for answer in answers]

    def held(self) -> Iterator[tuple[str, int]]:
        """Yield id and number of every entry, in no order."""
        offset = None
        while True:
            request = qdrant.ScrollRequest(offset, _PAGE, with_payload=["id", "number"])
            with self._told():
                page, offset = self._shard.scroll(request)
            for record in page:
                yield record.payload["id"], record.payload["number"]
            if offset is None:
                return

    def __len__(self) -> int:
        with self._told():
            return int(self._shard.count(qdrant.CountRequest(exact=True)))

    def close(self) -> None:
        """Close the shard, and with it the folder for others."""
        with self._told():
            self._shard.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._changed:
                with self._told():
                    self._shard.optimize()  # the graph of neighbours, where there are enough texts
        finally:
            self.close()

    def _open(self, folder: Path) -> Any:  # noqa: ANN401
        if (folder / "segments").exists():
            return qdrant.EdgeShard.load(str(folder))
        size = qdrant.EdgeVectorParams(size=self.facts.dim, distance=qdrant.Distance.Cosine)
        return qdrant.EdgeShard.create(str(folder), qdrant.EdgeConfig(vectors=size))

    def _update(self, operation: Any) -> None:  # noqa: ANN401
        with self._told():
            self._shard.update(operation)
            self._shard.flush()
        self._changed = True

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn the engine's errors into one line with its remedy."""
        try:
            yield
        except Exception as error:  # it raises nothing narrower
            in_use = "WouldBlock" in str(error)
            reason = "a folder serves one process at a time" if in_use else str(error)
            raise SearchEngineError(f"cannot open {self.address}: {reason}") from error


def _filter(choices: dict[str, list[Any]]) -> Any:  # noqa: ANN401
    """Return the filter for payloads whose metadata has one of the values under each name."""
    return qdrant.Filter(
        must=[
            qdrant.Filter(should=[_fits(name, value) for value in values])
            for name, values in choices.items()
        ]
    )


def _truths(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Spell the truth values: the client of 0.9 asks for the number 1 where True is to be found."""
    return {name: str(value) for name, value in metadata.items() if isinstance(value, bool)}


def _fits(name: str, value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, bool):
        return qdrant.FieldCondition(f'truths."{name}"', match=qdrant.MatchValue(str(value)))
    field = f'metadata."{name}"'
    number = isinstance(value, (int, float))
    if number and (isinstance(value, float) or abs(value) <= _WHOLE):  # 3 is 3.0
        return qdrant.FieldCondition(field, range=qdrant.RangeFloat(gte=value, lte=value))
    return qdrant.FieldCondition(field, match=qdrant.MatchValue(value))


def _hit(point: Any) -> Hit:  # noqa: ANN401
    payload = point.payload
    return Hit(payload["id"], payload["text"], payload["metadata"], min(point.score, 1.0))
