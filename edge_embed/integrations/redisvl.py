"""RedisVL's vectorizer.

>>> from edge_embed.integrations.redisvl import EdgeEmbedVectorizer
>>> EdgeEmbedVectorizer("my-model").embed("opening hours")  # doctest: +SKIP
"""

import asyncio
from typing import TYPE_CHECKING, Any

from edge_embed.integrations.requirements import requires
from edge_embed.integrations.role_encoder import Model, RoleEncoder

with requires("redisvl"):
    from pydantic import PrivateAttr
    from redisvl.utils.vectorize.base import BaseVectorizer

if TYPE_CHECKING:
    from redisvl.extensions.cache.embeddings import EmbeddingsCache

__all__ = ["EdgeEmbedVectorizer"]


class EdgeEmbedVectorizer(BaseVectorizer):
    """Embeds for RedisVL as lists of ``dim`` numbers or as bytes; vectors have unit length.

    ``embed(query, role="query")`` puts the model's query prompt before a text, where it has one.
    """

    _encoder: RoleEncoder = PrivateAttr()

    def __init__(
        self,
        model: Model = None,
        *,
        dtype: str = "float32",
        cache: "EmbeddingsCache | None" = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Load a model.

        Args:
            model: As for :class:`~edge_embed.integrations.role_encoder.RoleEncoder`.
            dtype: Type of the numbers in vectors as bytes.
            cache: RedisVL's cache of vectors; its key is the model's name.
            options: ``normalize``, ``dim``, ``truncation``, and options of ``Embedder``.
        """
        encoder = RoleEncoder(model, **options)
        super().__init__(model=encoder.model, dtype=dtype, dims=encoder.dim, cache=cache)
        self._encoder = encoder

    @property
    def type(self) -> str:
        """The type of the vectorizer in RedisVL's schemas."""
        return "edge_embed"

    def _embed(self, content: Any, role: str = "document", **_: Any) -> list[float]:  # noqa: ANN401
        return self._embed_many([content], role=role)[0]

    def _embed_many(
        self,
        contents: list[Any],
        batch_size: int = 10,
        role: str = "document",
        **_: Any,  # noqa: ANN401
    ) -> list[list[float]]:
        encode = self._encoder.queries if role == "query" else self._encoder.documents
        vectors: list[list[float]] = encode(contents).tolist()
        return vectors

    async def _aembed(self, content: Any, **options: Any) -> list[float]:  # noqa: ANN401
        return await asyncio.to_thread(lambda: self._embed(content, **options))

    async def _aembed_many(
        self,
        contents: list[Any],
        batch_size: int = 10,
        **options: Any,  # noqa: ANN401
    ) -> list[list[float]]:
        return await asyncio.to_thread(lambda: self._embed_many(contents, batch_size, **options))
