"""DSPy's ``Embedder``.

>>> from edge_embed.integrations.dspy import EdgeEmbedEmbedder
>>> dspy.retrievers.Embeddings(corpus, EdgeEmbedEmbedder("my-model"))  # doctest: +SKIP
"""

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.integrations.requirements import requires
from edge_embed.integrations.role_encoder import Model, RoleEncoder

with requires("dspy"):
    import dspy

__all__ = ["EdgeEmbedEmbedder"]


class EdgeEmbedEmbedder(dspy.Embedder):
    """Embeds texts for DSPy; vectors have unit length.

    DSPy's cache is off by default, as a lookup takes as long as embedding. Its key is the source
    code of the function and its arguments, so the model's settings are passed as an argument.
    """

    def __init__(
        self,
        model: Model = None,
        *,
        batch_size: int = 2048,
        caching: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Load a model.

        Args:
            model: As for :class:`~edge_embed.integrations.role_encoder.RoleEncoder`.
            batch_size: Texts in one call of the model.
            caching: Keep vectors in DSPy's cache, in memory and on disk.
            options: ``normalize``, ``dim``, ``truncation``, and options of ``Embedder``.
        """
        self._encoder = RoleEncoder(model, **options)
        super().__init__(
            self._embed,
            batch_size=batch_size,
            caching=caching,
            settings=json.dumps(self._encoder.settings, default=str, sort_keys=True),
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "EdgeEmbedEmbedder":
        """Return itself: DSPy copies whole programs, which may share one model."""
        return self

    def _embed(self, texts: list[str], settings: str = "") -> npt.NDArray[np.float32]:
        return self._encoder.documents(texts)
