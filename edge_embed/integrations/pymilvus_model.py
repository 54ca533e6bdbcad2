"""The interface of ``pymilvus.model``, whose default embedder is paraphrase-albert-small-v2.

pymilvus' own class computes each text by itself in FP32, padded to 512 tokens, and needs
transformers and onnxruntime. This class needs neither, nor pymilvus.

>>> from edge_embed.integrations.pymilvus_model import EdgeEmbedEmbeddingFunction
>>> embed = EdgeEmbedEmbeddingFunction("my-model")  # was: DefaultEmbeddingFunction()
>>> client.insert("notes", [{"vector": v} for v in embed.encode_documents(texts)])  # doctest: +SKIP
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.integrations.role_encoder import Model, RoleEncoder

__all__ = ["EdgeEmbedEmbeddingFunction"]

Vector = npt.NDArray[np.float32]


class EdgeEmbedEmbeddingFunction:
    """Embeds for Milvus; vectors have unit length."""

    def __init__(self, model_name: Model = None, **options: Any) -> None:  # noqa: ANN401
        """Load a model.

        Args:
            model_name: As ``model`` for
                :class:`~edge_embed.integrations.role_encoder.RoleEncoder`.
            options: ``normalize``, ``dim``, ``truncation``, and options of ``Embedder``.
        """
        self._encoder = RoleEncoder(model_name, **options)

    @property
    def dim(self) -> int:
        """The number of dimensions of a vector."""
        return self._encoder.dim

    def __call__(self, texts: list[str]) -> list[Vector]:
        """Embed texts as documents: float32 arrays (dim,)."""
        return self.encode_documents(texts)

    def encode_queries(self, queries: list[str]) -> list[Vector]:
        """Embed queries: float32 arrays (dim,)."""
        return list(self._encoder.queries(queries))

    def encode_documents(self, documents: list[str]) -> list[Vector]:
        """Embed documents: float32 arrays (dim,)."""
        return list(self._encoder.documents(documents))
