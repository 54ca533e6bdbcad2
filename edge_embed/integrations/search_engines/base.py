"""The interface to a search engine: a collection with the entries of an index.

Each engine has a module in this folder with a subclass of :class:`Collection`. ``registry.py``
lists them, and ``export.py`` opens a collection by its address and fills it.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any

import numpy as np

from edge_embed.errors import InputError
from edge_embed.files.json_text import parse_json
from edge_embed.files.typed_json import typed
from edge_embed.tasks.index.facts import StoreFacts
from edge_embed.tasks.index.index import Hit
from edge_embed.tasks.index.metadata import Where, where_choices
from edge_embed.tasks.index.store import Entry
from edge_embed.tasks.vectors import Floats, Vectors, fitting_rows

__all__ = [
    "FACTS",
    "Collection",
    "entry_key",
    "facts_as_json",
    "no_collection",
    "read_facts",
]

# The name under which a collection stores the settings of the index that it was filled from.
FACTS = "edge_embed"


class Collection(ABC):
    """An open collection of a search engine; a context manager.

    Every method raises :class:`~edge_embed.errors.SearchEngineError` if the engine cannot be
    reached or refuses the request.
    """

    address: str
    """Its address, ``ENGINE:PLACE#NAME``."""
    facts: StoreFacts
    """The settings of the index that it was filled from."""

    @abstractmethod
    def upsert(self, entries: Sequence[Entry], vectors: Floats) -> None:
        """Add entries, or replace those with the same ids; stored when the call returns.

        Args:
            entries: n entries with different ids.
            vectors: Of unit length, float32 (n, dim).
        """

    @abstractmethod
    def delete(self, ids: Sequence[str]) -> None:
        """Delete entries by id; unknown ids are ignored."""

    def search(
        self, vectors: Vectors, *, k: int = 10, where: Where | None = None
    ) -> list[list[Hit]]:
        """Return the ``k`` nearest entries of each query, best first, as ``Index.search`` does.

        Args:
            vectors: Float (queries, dim).
            k: The number of hits.
            where: Only entries whose metadata has these values; a list stands for any of them.

        Raises:
            InputError: the vectors have another dimension or NaN, or ``k`` is below 1.
        """
        choices = where_choices(where or {})
        queries = _unit_queries(self, vectors, k)
        if not queries or not all(choices.values()):
            return [[] for _ in queries]
        return self._nearest(queries, k, choices)

    @abstractmethod
    def _nearest(
        self, queries: list[list[float]], k: int, choices: dict[str, list[Any]]
    ) -> list[list[Hit]]:
        """Search with queries of unit length.

        ``choices`` has a list of values for each name of metadata; an entry must have one of them.
        """

    @abstractmethod
    def held(self) -> Iterator[tuple[str, int]]:
        """Yield id and number of every entry, in any order."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of entries."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    def __enter__(self) -> "Collection":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def entry_key(id_: str) -> str:
    """Return the key for an id, 32 hexadecimal digits, as no engine accepts every text as a key."""
    return hashlib.blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _unit_queries(collection: Collection, vectors: Vectors, k: int) -> list[list[float]]:
    """Check the arguments of a search and return the queries, scaled to unit length."""
    if k < 1:
        raise InputError(f"k is {k}; at least 1 hit is needed")
    rows = fitting_rows(vectors, collection.facts.dim, collection.address)
    unit: list[list[float]] = rows.take(np.arange(len(rows))).tolist()
    return unit


def no_collection(address: str) -> InputError:
    """Return the error for a collection that does not exist."""
    return InputError(
        f"no collection {address}: fill it with 'edge-embed index export INDEX --to {address}'"
    )


def facts_as_json(facts: StoreFacts) -> str:
    """Return the settings of an index as JSON, to be stored in a collection."""
    return json.dumps(asdict(facts))


def read_facts(address: str, text: str | None) -> StoreFacts:
    """Parse the JSON of :func:`facts_as_json`; None is a collection without it.

    Raises:
        InputError: the collection was not made by edge_embed.
    """
    try:
        return typed(StoreFacts, parse_json(text or ""), "the facts")
    except ValueError as error:
        raise InputError(
            f"{address} was not made by 'edge-embed index export': choose another collection"
        ) from error
