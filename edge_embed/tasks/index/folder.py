"""Synchronise an index with a folder of files: add new and changed files, delete removed ones.

The metadata of each entry have the folder, the file and a hash of its content, so no other state is
stored, and an interrupted run can be resumed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_embed.errors import InputError
from edge_embed.files.folder_texts import FolderFile, folder_files
from edge_embed.tasks.index.documents import Document, Embed, add_documents
from edge_embed.tasks.index.index import Index

__all__ = ["FolderUpdate", "update_from_folder"]

Split = Callable[[str], Sequence[str]]


@dataclass
class FolderUpdate:
    """The result of an update: numbers of files."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    split: int = 0
    """Files that were split into several passages."""
    split_passages: int = 0
    """The number of their passages."""
    left_out: list[str] = field(default_factory=list)
    """A message for each file that could not be read, whose entries are kept, or that has no text,
    whose entries are deleted."""


def update_from_folder(
    index: Index,
    folder: Path,
    split: Split,
    embed: Embed,
    *,
    name: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> FolderUpdate:
    """Update an index to the .txt, .md and .html files of a folder.

    A file is the document ``NAME/FILE``, with the metadata ``folder`` (NAME), ``file`` and
    ``file_hash``. Other entries are not changed.

    Args:
        index: The index to update; each file is stored as a whole.
        folder: The folder of the files, with its subfolders. Symbolic links and hidden files are
            skipped.
        split: Splits a text into passages; a text that is stored whole is one.
        embed: Embeds passages: float (n, dim).
        name: The name of the folder in the index; None is its path.
        progress: Called during the update with the number of files checked since the last call.

    Raises:
        InputError: it is not a folder, or has no such files.
        OutputError: the disk is full, or another process has been writing for too long.
    """
    key = str(folder.resolve()) if name is None else name
    files = {file.name: file for file in folder_files(folder)}
    known = _known(index, key)
    if not files:
        if known:
            raise InputError(
                f"{folder} has no .txt, .md or .html file, and the index knows {len(known)} of it: "
                "nothing was changed; if they are to go, give 'edge-embed index delete INDEX "
                f"--where folder={key}'"
            )
        raise InputError(f"{folder} has no .txt, .md or .html file")
    update = FolderUpdate()
    gone = [f"{key}/{file}" for file in known if file not in files]
    update.removed = index.delete(gone) if gone else 0
    documents = _changes(index, files.values(), key, known, split, update, progress)
    update.changed = add_documents(index, documents, embed)
    update.added -= update.changed  # added has counted both so far
    return update


def _changes(
    index: Index,
    files: Iterable[FolderFile],
    key: str,
    known: Mapping[str, str],
    split: Split,
    update: FolderUpdate,
    progress: Callable[[int], None],
) -> Iterator[Document]:
    """Yield the documents to add; delete those that have no text any more."""
    for file in files:
        progress(1)
        content = _changed(file, known, update)
        if content is None:
            continue
        text, hash_ = content
        if not text:
            update.removed += index.delete([f"{key}/{file.name}"])
            update.left_out.append(f"{file.path} has no text")
            continue
        passages = split(text)
        update.added += 1
        if len(passages) > 1:
            update.split += 1
            update.split_passages += len(passages)
        metadata = {"folder": key, "file": file.name, "file_hash": hash_}
        yield Document(f"{key}/{file.name}", passages, metadata)


def _known(index: Index, key: str) -> dict[str, str]:
    """Return the files of a folder that the index has: name to hash."""
    rows = index.store.distinct(["file", "file_hash"], {"folder": key})
    return {file: hash_ for file, hash_ in rows if isinstance(file, str) and hash_ is not None}


def _changed(
    file: FolderFile, known: Mapping[str, str], update: FolderUpdate
) -> tuple[str, str] | None:
    """Return text and hash of a file; None if it is unchanged, or cannot be read."""
    try:
        file.name.encode()
        if file.hash() == known.get(file.name):
            update.unchanged += 1
            return None
        return file.read()
    except InputError as error:
        update.left_out.append(str(error))
    except UnicodeEncodeError:
        update.left_out.append(f"{file.name!r} has a name that is no UTF-8")
    return None
