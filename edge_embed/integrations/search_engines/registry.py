"""The list of search engines, from which help texts, errors and collections are made.

A new engine is a module in this folder, with a subclass of
:class:`~edge_embed.integrations.search_engines.base.Collection`, and a line in :data:`ENGINES`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from edge_embed.errors import InputError

if TYPE_CHECKING:
    from edge_embed.integrations.search_engines.base import Collection
    from edge_embed.tasks.index.facts import StoreFacts

__all__ = ["ADDRESSES", "ENGINES", "Address", "Engine"]


@dataclass(frozen=True)
class Engine:
    """A search engine."""

    place: str
    """The form of the part of an address between the colon and the #, for help and errors."""
    module: str
    """The module of its collection, imported at first use: its client may not be installed."""
    collection: str
    """The name of the collection's class."""


_HERE = "edge_embed.integrations.search_engines"

ENGINES: Mapping[str, Engine] = {
    "qdrant": Engine("URL_OR_FOLDER", f"{_HERE}.qdrant", "QdrantCollection"),
    "qdrant-edge": Engine("FOLDER", f"{_HERE}.qdrant_edge", "QdrantEdgeCollection"),
    "milvus": Engine("URL_OR_FILE.db", f"{_HERE}.milvus", "MilvusCollection"),
    "postgresql": Engine("//HOST/DATABASE", f"{_HERE}.postgresql", "PostgresqlCollection"),
}
"""Engines by the name that an address begins with."""

ADDRESSES = " or ".join(f"{name}:{engine.place}#NAME" for name, engine in ENGINES.items())
"""The forms of an address, for help and errors."""


@dataclass(frozen=True)
class Address:
    """The address of a collection, ``ENGINE:PLACE#NAME``."""

    engine: str
    place: str
    name: str

    @classmethod
    def read(cls, text: str) -> "Address":
        """Parse an address.

        Raises:
            InputError: it has another form.
        """
        engine, _, rest = text.partition(":")
        place, _, name = rest.rpartition("#")
        if engine not in ENGINES or not place or not name:
            raise InputError(f"{text!r} is no address of a collection: write {ADDRESSES}")
        return cls(engine, place, name)

    def open(self, *, key: str | None, create: "StoreFacts | None") -> "Collection":
        """Open the collection; see :func:`~.export.open_collection`."""
        engine = ENGINES[self.engine]
        kind: type[Collection] = getattr(import_module(engine.module), engine.collection)
        return kind(self.place, self.name, key=key, create=create)  # type: ignore[call-arg]
