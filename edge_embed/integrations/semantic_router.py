"""semantic-router's dense encoder.

>>> from edge_embed.integrations.semantic_router import EdgeEmbedEncoder
>>> SemanticRouter(encoder=EdgeEmbedEncoder("my-model"), routes=routes)  # doctest: +SKIP
"""

import asyncio
from typing import Any

from edge_embed.integrations.requirements import requires
from edge_embed.integrations.role_encoder import Model, RoleEncoder

with requires("semantic-router"):
    from pydantic import PrivateAttr
    from semantic_router.encoders import DenseEncoder
    from semantic_router.encoders.base import AsymmetricDenseMixin

__all__ = ["EdgeEmbedEncoder"]


class EdgeEmbedEncoder(DenseEncoder, AsymmetricDenseMixin):
    """Embeds utterances and queries for semantic-router; vectors have unit length."""

    type: str = "edge_embed"
    _encoder: RoleEncoder = PrivateAttr()

    def __init__(self, name: Model = None, **options: Any) -> None:  # noqa: ANN401
        """Load a model.

        Args:
            name: As ``model`` for :class:`~edge_embed.integrations.role_encoder.RoleEncoder`.
            options: ``normalize``, ``dim``, ``truncation``, and options of ``Embedder``.
        """
        encoder = RoleEncoder(name, **options)
        super().__init__(name=encoder.model)
        self._encoder = encoder

    def __call__(self, docs: list[Any]) -> list[list[float]]:
        """Embed documents: a list of ``dim`` numbers for each."""
        return self.encode_documents(docs)

    async def acall(self, docs: list[Any]) -> list[list[float]]:
        """Embed documents in a thread."""
        return await self.aencode_documents(docs)

    def encode_queries(self, docs: list[str]) -> list[list[float]]:
        """Embed queries: a list of ``dim`` numbers for each."""
        vectors: list[list[float]] = self._encoder.queries(docs).tolist()
        return vectors

    def encode_documents(self, docs: list[str]) -> list[list[float]]:
        """Embed documents: a list of ``dim`` numbers for each."""
        vectors: list[list[float]] = self._encoder.documents(docs).tolist()
        return vectors

    async def aencode_queries(self, docs: list[str]) -> list[list[float]]:
        """Embed queries in a thread."""
        return await asyncio.to_thread(self.encode_queries, docs)

    async def aencode_documents(self, docs: list[str]) -> list[list[float]]:
        """Embed documents in a thread."""
        return await asyncio.to_thread(self.encode_documents, docs)
