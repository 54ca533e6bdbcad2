"""txtai's vectors: ``Embeddings(method="edge_embed.integrations.txtai.EdgeEmbedVectors", …)``.

>>> from txtai import Embeddings
>>> Embeddings(
...     method="edge_embed.integrations.txtai.EdgeEmbedVectors",
...     path="my-model",
...     vectors={"variant": "int8"},  # options of RoleEncoder and Embedder
... )  # doctest: +SKIP
"""

import numpy as np
import numpy.typing as npt

from edge_embed.integrations.requirements import requires
from edge_embed.integrations.role_encoder import RoleEncoder

with requires("txtai"):
    from txtai.vectors.base import Vectors

__all__ = ["EdgeEmbedVectors"]


class EdgeEmbedVectors(Vectors):
    """Embeds for txtai; ``path`` is a model folder, a shipped model's name, or a hub id."""

    def loadmodel(self, path: str | None) -> RoleEncoder:
        """Load a model; None is the shipped model."""
        return RoleEncoder(path, **(self.config or {}).get("vectors", {}))

    def encode(self, data: list[str], category: str | None = None) -> npt.NDArray[np.float32]:
        """Embed texts, float32 (n, dim); queries get the model's query prompt."""
        encode = self.model.queries if category == "query" else self.model.documents
        return np.array(encode(data))  # a copy: txtai scales it in place
