"""The backend that BERTopic and KeyBERT have in common: it embeds documents and words.

Both choose by the name of a model's class. An :class:`~edge_embed.Embedder` without a backend would
be ignored silently, and their default model loaded instead.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.integrations.role_encoder import Model, RoleEncoder

__all__ = ["TopicBackend"]


class TopicBackend:
    """The methods of a backend; a base class to name before the library's ``BaseEmbedder``."""

    def __init__(self, model: Model = None, **options: Any) -> None:  # noqa: ANN401
        """Load a model.

        Args:
            model: As for :class:`~edge_embed.integrations.role_encoder.RoleEncoder`.
            options: ``normalize``, ``dim``, ``truncation``, and options of ``Embedder``.
        """
        self._encoder = RoleEncoder(model, **options)
        super().__init__(embedding_model=self._encoder.embedder)  # type: ignore[call-arg]

    def embed(self, documents: Sequence[str], verbose: bool = False) -> npt.NDArray[np.float32]:
        """Embed texts, float32 (n, dim)."""
        return self._encoder.documents(list(documents))
