"""Past one machine: fill a collection of a search engine from an index, and search it.

>>> from edge_embed.integrations.search_engines.export import export, open_collection
>>> export("notes.index", "qdrant:http://localhost:6333#notes")  # doctest: +SKIP
>>> with open_collection("qdrant:http://localhost:6333#notes") as notes:  # doctest: +SKIP
...     notes.search(model.encode_query(["opening hours"]), k=5, where={"lang": "en"})
"""

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_embed.errors import InputError
from edge_embed.files.lock import owned_file
from edge_embed.integrations.search_engines.base import Collection
from edge_embed.integrations.search_engines.registry import ENGINES, Address
from edge_embed.tasks.index.store import Store, StoreFacts, check_model

__all__ = ["Exported", "export", "is_collection", "open_collection"]

# Entries in one request: with long texts and many dimensions still far below what servers take.
_BLOCK = 256


@dataclass(frozen=True)
class Exported:
    """What an export did: the collection now holds ``written + unchanged`` entries."""

    written: int
    """New entries, and those that changed in the index since."""
    deleted: int
    """Entries that the index no longer has."""
    unchanged: int


def is_collection(address: str) -> bool:
    """Return whether an address is that of a collection, and not a file's name."""
    return address.partition(":")[0] in ENGINES and ":" in address


def open_collection(
    address: str,
    *,
    model: str | None = None,
    key: str | None = None,
    create: StoreFacts | None = None,
) -> Collection:
    """Open a collection of a search engine.

    Args:
        address: ``ENGINE:PLACE#NAME``, such as ``qdrant:URL_OR_FOLDER#NAME``; see
            :mod:`edge_embed.integrations.search_engines.registry`.
        model: The fingerprint of the model that will make the vectors; None does not check.
        key: The server's key.
        create: Of the index that will fill it: makes the collection where it is missing.

    Raises:
        InputError: the address is none, there is no such collection, or it is of another model.
        SearchEngineError: the engine cannot be reached or refuses.
        MissingExtraError: the engine's client is not installed.
    """
    where = Address.read(address)
    if re.fullmatch(r"[\w.-]+:\d+/?", where.place):
        url = f"{where.engine}:http://{where.place}#{where.name}"
        raise InputError(f"{where.place} is no URL: write {url}")
    collection = where.open(key=key, create=create)
    if model is not None:
        try:
            check_model(address, collection.facts, model)
        except InputError:
            collection.close()
            raise
    return collection


def export(
    index: str | Path,
    address: str,
    *,
    key: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Exported:
    """Bring a collection to what an index holds; make it where it is missing.

    Only differences are written, so that a second export is short, and one that was interrupted
    resumes where it stopped. Memory: about 150 bytes an entry.

    Args:
        index: The index's file.
        address: As for :func:`open_collection`.
        key: The server's key.
        progress: Is told how many entries more are in place.

    Raises:
        InputError: there is no such index, or the collection is of another index or model.
        OutputError: another process exports the index to the same collection.
        SearchEngineError: the engine cannot be reached or refuses.
        MissingExtraError: the engine's client is not installed.
    """
    store = Store(Path(index))
    try:
        with (
            _owned(Path(index), address),
            open_collection(address, key=key, create=store.facts) as collection,
        ):
            check_model(address, collection.facts, store.facts.model)
            if collection.facts != store.facts:
                raise InputError(
                    f"{address} holds the entries of another index, not of {index}: choose another "
                    "collection, or delete that one"
                )
            return _export(store, collection, progress or (lambda count: None))
    finally:
        store.close()


def _owned(index: Path, address: str) -> AbstractContextManager[None]:
    """Own an export: one that reads an older state would delete what a newer one has written."""
    folder = index.resolve().parent
    if not os.access(folder, os.W_OK):  # nor can the index change there
        return nullcontext()
    digest = hashlib.sha256(address.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return owned_file(folder / f".{index.name}.export-{digest}", name=address)


def _export(store: Store, collection: Collection, progress: Callable[[int], None]) -> Exported:
    # An entry's number is never used again, so id and number together say what is there.
    missing = store.ids()
    stale = set()
    unchanged = 0
    for id_, number in collection.held():
        if missing.get(number) == id_:
            del missing[number]
            unchanged += 1
        else:
            stale.add(id_)
    progress(unchanged)
    gone = sorted(stale.difference(missing.values()))
    for start in range(0, len(gone), _BLOCK):
        collection.delete(gone[start : start + _BLOCK])
    numbers = list(missing)
    written = 0
    for start in range(0, len(numbers), _BLOCK):
        there, vectors = store.vectors(numbers[start : start + _BLOCK])
        entries = store.entries(there)
        kept = [row for row, number in enumerate(there.tolist()) if number in entries]
        collection.upsert([entries[int(there[row])] for row in kept], vectors[np.array(kept, int)])
        written += len(kept)
        progress(len(kept))
    return Exported(written, len(gone), unchanged)
