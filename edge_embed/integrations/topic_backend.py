"""What BERTopic and KeyBERT take alike: a backend that embeds documents and words.

Both know models by the name of their type: an ``Embedder`` given as it is would be passed over in
silence, and another model loaded.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.integrations.role_encoder import Model, RoleEncoder

__all__ = ["TopicBackend"]


class TopicBackend:
    """The methods of a backend; goes before the library's own ``BaseEmbedder``."""

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
