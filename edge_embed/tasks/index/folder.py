"""Keep an index like a folder of files: what is new or changed comes in, what is gone leaves.

Each entry of a file knows the folder, the file and a hash of its content, so nothing else has to be
kept, and a run that was interrupted goes on where it was.
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
    """What an update did."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    split: int = 0
    """Files that became several passages."""
    split_passages: int = 0
    """How many passages these became."""
    left_out: list[str] = field(default_factory=list)
    """Why files could not be read, whose entries stay, or have no text, whose entries go."""


def update_from_folder(
    index: Index,
    folder: Path,
    split: Split,
    embed: Embed,
    *,
    name: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> FolderUpdate:
    """Bring an index to what the .txt, .md and .html files of a folder hold.

    A file is the document ``NAME/FILE``, whose metadata are ``folder`` (NAME), ``file`` and
    ``file_hash``. Entries of other folders, or that were added otherwise, are left alone.

    Args:
        index: What is changed; each file is on the disk as a whole.
        folder: Where the files are, also within its folders. Links and hidden ones are left out.
        split: Makes passages of a text; one for a text that is kept whole.
        embed: Makes vectors of passages, float (n, dim).
        name: What the folder is called in the index; None is its path.
        progress: Called with the number of files that were looked at.

    Raises:
        InputError: it is no folder, or has no such files although the index knows some of it.
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
    update.added -= update.changed  # until now it counted both
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
    """Yield the documents that are to be added; take those out that have no text any more."""
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
    """Return the hash of each file that the index knows of a folder."""
    rows = index.store.distinct(["file", "file_hash"], {"folder": key})
    return {file: hash_ for file, hash_ in rows if isinstance(file, str) and hash_ is not None}


def _changed(
    file: FolderFile, known: Mapping[str, str], update: FolderUpdate
) -> tuple[str, str] | None:
    """Return the text and the hash of a file; None if it is as before, or cannot be read."""
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
