"""Fill a collection of a search engine from an index, and search it.

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
from edge_embed.tasks.index.facts import StoreFacts, check_model
from edge_embed.tasks.index.store import Store

__all__ = ["Exported", "export", "is_collection", "open_collection"]

# Entries in one request; even with long texts and many dimensions far below servers' limits.
_BLOCK = 256


@dataclass(frozen=True)
class Exported:
    """The result of an export; the collection now has ``written + unchanged`` entries."""

    written: int
    """How many entries were new, or had changed in the index."""
    deleted: int
    """How many entries the index no longer had."""
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
        model: The fingerprint of the model of the vectors, to be compared; None does not compare.
        key: The server's API key or password.
        create: The settings of the index that will fill it, to create a missing collection; None is
            an error for a missing one.

    Raises:
        InputError: the address is invalid, or there is no such collection, or it is of another
            model.
        SearchEngineError: the engine cannot be reached or refuses the request.
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
    """Make a collection equal to an index; create it if it is missing.

    Only differences are written, so that a second export is short, and one that was interrupted
    resumes where it stopped. Memory: about 150 bytes for each entry.

    Args:
        index: The index's file.
        address: As for :func:`open_collection`.
        key: The server's API key or password.
        progress: Called with the number of entries added since the last call.

    Raises:
        InputError: there is no such index, or the collection is of another index or model.
        OutputError: another process exports the index to the same collection.
        SearchEngineError: the engine cannot be reached or refuses the request.
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
    """Lock an export: of two at the same time, the older would delete new entries of the other."""
    folder = index.resolve().parent
    if not os.access(folder, os.W_OK):  # then the index cannot change either
        return nullcontext()
    digest = hashlib.sha256(address.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return owned_file(folder / f".{index.name}.export-{digest}", name=address)


def _export(store: Store, collection: Collection, progress: Callable[[int], None]) -> Exported:
    # An entry's number is never reused, so an entry with the same id and number is unchanged.
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
