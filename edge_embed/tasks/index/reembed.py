"""Move an index to another model: a new store beside the old one, which it replaces at the end.

Texts, ids and metadata are those of the old store; only vectors are made. Until the switch the old
index is searched and written as ever, and what was written meanwhile is brought over last, while
writers wait. A run that is stopped goes on where it was.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from edge_embed.files.lock import owned_file
from edge_embed.files.write_errors import output_error
from edge_embed.tasks.index.store import Store, StoreFacts
from edge_embed.tasks.vectors import Rows, Vectors

__all__ = ["reembed"]

Embed = Callable[[Sequence[str]], Vectors]
Progress = Callable[[int], None]

_BLOCK = 512


def reembed(
    path: Path, facts: StoreFacts, embed: Embed, *, progress: Progress = lambda _: None
) -> int:
    """Replace the index at ``path`` by one of the same texts with other vectors.

    Processes that have the old one open go on with the new one; vectors of the old model are
    refused when they add some.

    Args:
        path: The index.
        facts: What the new one is for: its model, dimensions and type of vectors.
        embed: Makes vectors of texts, float (n, facts.dim).
        progress: Called with the number of entries brought over.

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
                _bring(old, new, embed, progress)
                with old.replacing():
                    _bring(old, new, embed, progress)
                    count = len(new)
                    new.close()  # its last connection: the log goes into the file
                    _switch(beside, path)
            finally:
                new.close()
    finally:
        old.close()
    return count


def _new_store(path: Path, facts: StoreFacts) -> Store:
    """Open what an earlier run has left, if it was of the same model; else begin anew."""
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


def _bring(old: Store, new: Store, embed: Embed, progress: Progress) -> None:
    """Add what the new store lacks or has otherwise, and delete what the old one no longer has."""
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
    """Put the new store in the old one's place, without the old one's log beside it."""
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
    with suppress(OSError):  # of the old vectors; it would be refused, and made anew
        path.with_name(f"{path.name}.neighbours").unlink()
