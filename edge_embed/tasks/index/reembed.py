"""Move an index to another model: build a new store beside the old one, then replace that.

Texts, ids and metadata are copied; only the vectors are new. Until the replacement the old index
can be searched and written; entries written meanwhile are copied at the end, while writers wait.
An interrupted run can be resumed.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from edge_embed.files.lock import owned_file
from edge_embed.files.write_errors import output_error
from edge_embed.tasks.index.facts import StoreFacts
from edge_embed.tasks.index.store import Store
from edge_embed.tasks.vectors import Rows, Vectors

__all__ = ["reembed"]

Embed = Callable[[Sequence[str]], Vectors]
Progress = Callable[[int], None]

_BLOCK = 512


def reembed(
    path: Path, facts: StoreFacts, embed: Embed, *, progress: Progress = lambda _: None
) -> int:
    """Replace the index at ``path`` by one with the same texts and another model's vectors.

    Processes that have the old index open continue with the new one; they can no longer add vectors
    of the old model.

    Args:
        path: The index.
        facts: Model, dimensions and type of vectors of the new index.
        embed: Embeds texts: float (n, facts.dim).
        progress: Called with the number of entries copied since the last call.

    Returns:
        The number of entries.

    Raises:
        InputError: there is no such index, or it is damaged.
        OutputError: the disk is full, or another process does the same.
    """
    old = Store(path)
    beside = path.with_name(f".{path.name}.reembed")
    try:
        with owned_file(beside):
            new = _new_store(beside, facts)
            try:
                _copy(old, new, embed, progress)
                with old.replacing():
                    _copy(old, new, embed, progress)
                    count = len(new)
                    new.close()  # closing the last connection merges the log into the file
                    _switch(beside, path)
            finally:
                new.close()
    finally:
        old.close()
    return count


def _new_store(path: Path, facts: StoreFacts) -> Store:
    """Open the store of an interrupted run for the same model, or create a new one."""
    if path.is_file():
        store = Store(path)
        if _same(store.facts, facts):
            return store
        store.close()
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    return Store.create(path, facts)


def _same(first: StoreFacts, second: StoreFacts) -> bool:
    return (first.dim, first.dtype, first.model) == (second.dim, second.dtype, second.model)


def _copy(old: Store, new: Store, embed: Embed, progress: Progress) -> None:
    """Add entries that are missing or different in ``new``, and delete those not in ``old``."""
    numbers = old.numbers()
    for start in range(0, len(numbers), _BLOCK):
        entries = list(old.entries(numbers[start : start + _BLOCK]).values())
        there = {entry.id: entry for entry in new.by_id([entry.id for entry in entries])}
        missing = [
            entry
            for entry in entries
            if (known := there.get(entry.id)) is None
            or (known.text, known.metadata) != (entry.text, entry.metadata)
        ]
        if missing:
            texts = [entry.text for entry in missing]
            new.add(
                [entry.id for entry in missing],
                texts,
                [entry.metadata for entry in missing],
                Rows(embed(texts)).take(np.arange(len(texts))),
            )
            progress(len(missing))
    gone = set(new.ids().values()) - set(old.ids().values())
    if gone:
        new.delete(gone)


def _switch(beside: Path, path: Path) -> None:
    """Replace the old store by the new one, and remove the old one's log."""
    try:
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        beside.replace(path)
        folder = os.open(path.resolve().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise output_error(path, error) from error
    with suppress(OSError):  # the HNSW file of the old vectors
        path.with_name(f"{path.name}.neighbours").unlink()
