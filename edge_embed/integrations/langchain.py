"""LangChain's ``Embeddings``.

>>> from edge_embed.integrations.langchain import EdgeEmbedEmbeddings
>>> EdgeEmbedEmbeddings("my-model").embed_query("opening hours")  # doctest: +SKIP
"""

from typing import Any

from edge_embed.integrations.requirements import requires
from edge_embed.integrations.role_encoder import Model, RoleEncoder

with requires("langchain"):
    from langchain_core.embeddings import Embeddings

__all__ = ["EdgeEmbedEmbeddings"]


class EdgeEmbedEmbeddings(Embeddings):
    """Embeds for LangChain; vectors have unit length. The ``a…`` methods run in a thread."""

    def __init__(self, model: Model = None, **options: Any) -> None:  # noqa: ANN401
        """Load a model.

        Args:
            model: As for :class:`~edge_embed.integrations.role_encoder.RoleEncoder`.
            options: ``normalize``, ``dim``, ``truncation``, and options of ``Embedder``.
        """
        self._encoder = RoleEncoder(model, **options)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed documents: a list of ``dim`` numbers for each."""
        vectors: list[list[float]] = self._encoder.documents(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Embed a query: a list of ``dim`` numbers."""
        vector: list[float] = self._encoder.queries([text])[0].tolist()
        return vector
