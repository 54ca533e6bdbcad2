"""Haystack's text and document embedders.

>>> from edge_embed.integrations.haystack import EdgeEmbedTextEmbedder
>>> EdgeEmbedTextEmbedder("my-model").run("opening hours")["embedding"]  # doctest: +SKIP
"""

import asyncio
from dataclasses import replace
from typing import Any

from edge_embed.errors import InputError
from edge_embed.files.fork_lock import ForkLock
from edge_embed.integrations.requirements import requires
from edge_embed.integrations.role_encoder import RoleEncoder

with requires("haystack"):
    from haystack import Document, component, default_from_dict, default_to_dict

__all__ = ["EdgeEmbedDocumentEmbedder", "EdgeEmbedTextEmbedder"]


class _LazyEncoder:
    """A model that is loaded at first use."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments = arguments
        self._lock = ForkLock()
        self._encoder: RoleEncoder | None = None

    def load(self) -> RoleEncoder:
        with self._lock:
            if self._encoder is None:
                self._encoder = RoleEncoder(**self.arguments)
            return self._encoder


@component
class EdgeEmbedTextEmbedder:
    """Embeds a query as a list of ``dim`` numbers; the vector has unit length."""

    def __init__(self, model: str | None = None, **options: Any) -> None:  # noqa: ANN401
        """Store the arguments; the model is loaded at ``warm_up`` or the first ``run``.

        Args:
            model: A model folder, a shipped model's name, a hub id, or None for the default.
            options: ``normalize``, ``dim``, ``truncation``, and options of ``Embedder``.
        """
        self._lazy = _LazyEncoder({"model": model, **options})

    def warm_up(self) -> None:
        """Load the model.

        Raises:
            EdgeEmbedError: it cannot be loaded, or an option has no such value.
        """
        self._lazy.load()

    def to_dict(self) -> dict[str, Any]:
        """Return what a pipeline's YAML holds of this component."""
        written: dict[str, Any] = default_to_dict(self, **self._lazy.arguments)
        return written

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "EdgeEmbedTextEmbedder":
        """Make the component that :meth:`to_dict` describes."""
        made: EdgeEmbedTextEmbedder = default_from_dict(cls, data)
        return made

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, Any]:
        """Embed a text.

        Raises:
            InputError: it is no text.
        """
        if not isinstance(text, str):
            raise InputError(
                "EdgeEmbedTextEmbedder takes one text; EdgeEmbedDocumentEmbedder takes documents"
            )
        return {"embedding": self._lazy.load().queries([text])[0].tolist()}

    @component.output_types(embedding=list[float])
    async def run_async(self, text: str) -> dict[str, Any]:
        """Embed a text in a thread."""
        return await asyncio.to_thread(self.run, text)


@component
class EdgeEmbedDocumentEmbedder:
    """Embeds documents; their vectors have unit length."""

    def __init__(
        self,
        model: str | None = None,
        *,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Store the arguments; the model is loaded at ``warm_up`` or the first ``run``.

        Args:
            model: A model folder, a shipped model's name, a hub id, or None for the default.
            meta_fields_to_embed: Fields of a document's ``meta`` that go before its text.
            embedding_separator: What stands between them.
            options: ``normalize``, ``dim``, ``truncation``, and options of ``Embedder``.
        """
        self._lazy = _LazyEncoder({"model": model, **options})
        self._fields = meta_fields_to_embed or []
        self._separator = embedding_separator

    def warm_up(self) -> None:
        """Load the model.

        Raises:
            EdgeEmbedError: it cannot be loaded, or an option has no such value.
        """
        self._lazy.load()

    def to_dict(self) -> dict[str, Any]:
        """Return what a pipeline's YAML holds of this component."""
        written: dict[str, Any] = default_to_dict(
            self,
            **self._lazy.arguments,
            meta_fields_to_embed=self._fields,
            embedding_separator=self._separator,
        )
        return written

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "EdgeEmbedDocumentEmbedder":
        """Make the component that :meth:`to_dict` describes."""
        made: EdgeEmbedDocumentEmbedder = default_from_dict(cls, data)
        return made

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Return the documents with their embeddings; those given stay as they are.

        Raises:
            InputError: they are no documents.
        """
        if not isinstance(documents, list) or not all(
            isinstance(document, Document) for document in documents
        ):
            raise InputError(
                "EdgeEmbedDocumentEmbedder takes a list of documents; EdgeEmbedTextEmbedder takes "
                "one text"
            )
        vectors = self._lazy.load().documents([self._text(document) for document in documents])
        made = [
            replace(document, embedding=vector)
            for document, vector in zip(documents, vectors.tolist(), strict=True)
        ]
        return {"documents": made}

    @component.output_types(documents=list[Document])
    async def run_async(self, documents: list[Document]) -> dict[str, Any]:
        """Embed documents in a thread."""
        return await asyncio.to_thread(self.run, documents)

    def _text(self, document: Document) -> str:
        fields = [document.meta.get(field) for field in self._fields]
        parts = [str(value) for value in fields if value is not None]
        return self._separator.join([*parts, document.content or ""])
