"""LlamaIndex' ``BaseEmbedding``.

>>> from edge_embed.integrations.llama_index import EdgeEmbedEmbedding
>>> Settings.embed_model = EdgeEmbedEmbedding("my-model")  # doctest: +SKIP
"""

import asyncio
from typing import Any

from edge_embed.integrations.requirements import requires
from edge_embed.integrations.role_encoder import Model, RoleEncoder

with requires("llama-index"):
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import Field, PrivateAttr

__all__ = ["EdgeEmbedEmbedding"]

_FIELDS = {"embed_batch_size", "callback_manager", "num_workers", "embeddings_cache"}


class EdgeEmbedEmbedding(BaseEmbedding):
    """Embeds for LlamaIndex; vectors have unit length. The ``aget_…`` methods run in a thread."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """The options to recreate it with."""
    _encoder: RoleEncoder = PrivateAttr()

    def __init__(self, model_name: Model = None, **options: Any) -> None:  # noqa: ANN401
        """Load a model.

        Args:
            model_name: As for :class:`~edge_embed.integrations.role_encoder.RoleEncoder`.
            options: ``normalize``, ``dim``, ``truncation``, and options of ``Embedder``; or
                LlamaIndex' own, such as ``embed_batch_size`` (by default 2,048).
        """
        own = {name: options.pop(name) for name in _FIELDS & options.keys()}
        encoder = RoleEncoder(model_name, **{**options.pop("settings", {}), **options})
        settings = {name: value for name, value in encoder.settings.items() if name != "model"}
        # Batches are planned by tokens, which needs more texts than LlamaIndex' default of ten.
        own.setdefault("embed_batch_size", 2048)
        super().__init__(model_name=encoder.model, settings=settings, **own)
        self._encoder = encoder

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex stores."""
        return "EdgeEmbedEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return _lists(self._encoder.queries([query]))[0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return _lists(self._encoder.documents(texts))

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)


def _lists(vectors: Any) -> list[list[float]]:  # noqa: ANN401
    lists: list[list[float]] = vectors.tolist()
    return lists
