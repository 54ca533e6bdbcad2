"""Chroma's ``EmbeddingFunction``, registered as ``edge_embed``.

A program must import this module before it opens a collection that was made with the function, so
that Chroma can recreate the function from the configuration stored in the collection.

>>> from edge_embed.integrations.chroma import EdgeEmbedEmbeddingFunction
>>> client.create_collection(
...     "notes", embedding_function=EdgeEmbedEmbeddingFunction("my-model")
... )  # doctest: +SKIP
"""

from typing import Any

from edge_embed.errors import InputError
from edge_embed.integrations.requirements import requires
from edge_embed.integrations.role_encoder import Model, RoleEncoder

with requires("chroma"):
    from chromadb.api.types import Documents, EmbeddingFunction, Embeddings, Space
    from chromadb.utils.embedding_functions import register_embedding_function

__all__ = ["EdgeEmbedEmbeddingFunction"]


@register_embedding_function
class EdgeEmbedEmbeddingFunction(EmbeddingFunction[Documents]):
    """Embeds for Chroma; vectors have unit length, queries get the model's query prompt."""

    def __init__(self, model: Model = None, **options: Any) -> None:  # noqa: ANN401
        """Load a model.

        Args:
            model: As for :class:`~edge_embed.integrations.role_encoder.RoleEncoder`.
            options: ``normalize``, ``dim``, ``truncation``, and options of ``Embedder``.
        """
        self._encoder = RoleEncoder(model, **options)

    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002 - Chroma's name
        """Embed documents: float32 arrays (dim,)."""
        return list(self._encoder.documents(input))

    def embed_query(self, input: Documents) -> Embeddings:  # noqa: A002 - Chroma's name
        """Embed queries: float32 arrays (dim,)."""
        return list(self._encoder.queries(input))

    @staticmethod
    def name() -> str:
        """Return the name that collections store."""
        return "edge_embed"

    def default_space(self) -> Space:
        """Return the default distance of a collection."""
        return "cosine"

    def supported_spaces(self) -> list[Space]:
        """Return the distances that can be used with its vectors."""
        return ["cosine", "l2", "ip"]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the function; collections store them."""
        return dict(self._encoder.settings)

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> "EdgeEmbedEmbeddingFunction":
        """Recreate the function from the configuration stored in a collection."""
        return EdgeEmbedEmbeddingFunction(**config)

    def validate_config_update(
        self, old_config: dict[str, Any], new_config: dict[str, Any]
    ) -> None:
        """Refuse a change of ``dim``; the path of the model folder may change.

        Raises:
            InputError: ``dim`` differs from that of the collection.
        """
        old, new = (config.get("dim") for config in (old_config, new_config))
        if old != new:
            raise InputError(
                f"the collection was made with dim={old}, its vectors cannot be compared with "
                f"those of dim={new}: make another collection"
            )
