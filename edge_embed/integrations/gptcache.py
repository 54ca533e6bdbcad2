"""The interface of GPTCache's embeddings, whose default is paraphrase-albert-small-v2.

GPTCache's own class computes each text padded to 512 tokens in FP32, fails on longer ones, and
needs onnxruntime and a transformers below 5. This class needs neither, nor GPTCache.

>>> from edge_embed.integrations.gptcache import EdgeEmbedEmbedding
>>> cache.init(embedding_func=EdgeEmbedEmbedding("my-model").to_embeddings)  # doctest: +SKIP
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.integrations.role_encoder import Model, RoleEncoder

__all__ = ["EdgeEmbedEmbedding"]


class EdgeEmbedEmbedding:
    """Embeds for GPTCache; vectors have unit length."""

    def __init__(self, model: Model = None, **options: Any) -> None:  # noqa: ANN401
        """Load a model.

        Args:
            model: As for :class:`~edge_embed.integrations.role_encoder.RoleEncoder`.
            options: ``normalize``, ``dim``, ``truncation``, and options of ``Embedder``.
        """
        self._encoder = RoleEncoder(model, **options)

    @property
    def dimension(self) -> int:
        """The number of dimensions of a vector."""
        return self._encoder.dim

    def to_embeddings(
        self,
        data: str,
        **_: Any,  # noqa: ANN401 - further arguments of GPTCache
    ) -> npt.NDArray[np.float32]:
        """Embed one text, float32 (dim,)."""
        (vector,) = self._encoder.documents([data])
        return np.asarray(vector)
