"""Documents in an index: texts that are stored as one entry, or as several passages.

A passage is an entry of its own. Its id is ``DOCUMENT#passage-3``, and its metadata have the id of
the document, the passage's number and the number of passages, for filters and other search engines.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_embed.errors import InputError
from edge_embed.tasks.index.index import Index
from edge_embed.tasks.index.passages import PASSAGE_MARK
from edge_embed.tasks.vectors import Vectors

__all__ = ["Document", "Embed", "add_documents"]

# Passages that are embedded and stored at a time.
_PASSAGES = 2048
_NAMES = ("document", "passage", "passages")

Embed = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True)
class Document:
    """A text to store, whole or as passages."""

    id: str
    passages: Sequence[str]
    """The texts that are embedded: the whole text, or its passages in order."""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def entries(self) -> list[tuple[str, str, Mapping[str, Any]]]:
        """Return id, text and metadata of each entry.

        Raises:
            InputError: there are several, and the metadata have a name that passages use.
        """
        if len(self.passages) == 1:
            return [(self.id, self.passages[0], self.metadata)]
        taken = next((name for name in _NAMES if name in self.metadata), None)
        if taken is not None:
            raise InputError(
                f"the text {self.id!r:.60} is split into passages, whose place is kept as "
                f"{taken!r}, a name that its own metadata have: rename that column, or give "
                "--no-split"
            )
        count = len(self.passages)
        return [
            (
                f"{self.id}{PASSAGE_MARK}{number}",
                passage,
                {**self.metadata, "document": self.id, "passage": number, "passages": count},
            )
            for number, passage in enumerate(self.passages, 1)
        ]


def add_documents(index: Index, documents: Iterable[Document], embed: Embed) -> int:
    """Add documents with different ids; known ones are replaced with all of their passages.

    Args:
        index: The index to add to.
        documents: Read one by one; they are stored in groups of about two thousand passages, each
            document as a whole.
        embed: Embeds texts: float (n, dim).

    Returns:
        The number of documents that were replaced.

    Raises:
        InputError: metadata are not JSON, or have a name that passages use.
        OutputError: the disk is full, or another process has been writing for too long.
    """
    group: list[Document] = []
    there = passages = 0
    for document in documents:
        group.append(document)
        passages += len(document.passages)
        if passages >= _PASSAGES:
            there += _add(index, group, embed)
            group, passages = [], 0
    return there + _add(index, group, embed) if group else there


def _add(index: Index, documents: Sequence[Document], embed: Embed) -> int:
    """Add documents, all of them or none; return how many were replaced."""
    entries = [entry for document in documents for entry in document.entries()]
    ids = [document.id for document in documents]
    there = len(index.store.known(ids))
    texts = [text for _, text, _ in entries]
    index.add(
        texts,
        embed(texts),
        ids=[id_ for id_, _, _ in entries],
        metadata=[metadata for _, _, metadata in entries],
        replaces=ids,
    )
    return there
