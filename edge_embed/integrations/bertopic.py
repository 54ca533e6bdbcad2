"""BERTopic's backend.

BERTopic knows models by the name of their type: an ``Embedder`` given as it is would be passed over
in silence, and another model loaded.

>>> from edge_embed.integrations.bertopic import EdgeEmbedBackend
>>> BERTopic(embedding_model=EdgeEmbedBackend("my-model"))  # doctest: +SKIP
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.integrations.requirements import requires
from edge_embed.integrations.role_encoder import Model, RoleEncoder

with requires("bertopic"):
    from bertopic.backend import BaseEmbedder

__all__ = ["EdgeEmbedBackend"]


class EdgeEmbedBackend(BaseEmbedder):
    """Embeds documents and words for BERTopic; vectors have unit length."""

    def __init__(self, model: Model = None, **options: Any) -> None:  # noqa: ANN401
        """Load a model.

        Args:
            model: As for :class:`~edge_embed.integrations.role_encoder.RoleEncoder`.
            options: ``normalize``, ``dim``, ``truncation``, and options of ``Embedder``.
        """
        self._encoder = RoleEncoder(model, **options)
        super().__init__(embedding_model=self._encoder.embedder)

    def embed(self, documents: list[str], verbose: bool = False) -> npt.NDArray[np.float32]:
        """Embed texts, float32 (n, dim)."""
        return self._encoder.documents(documents)
