"""LanceDB's embedding function, registered as ``edge-embed``.

A program must import this module before it opens a table that was made with the function.

>>> import edge_embed.integrations.lancedb
>>> function = lancedb.embeddings.get_registry().get("edge-embed").create()  # doctest: +SKIP
"""

from typing import Any

from edge_embed.integrations.requirements import requires
from edge_embed.integrations.role_encoder import RoleEncoder

with requires("lancedb"):
    import pyarrow
    from lancedb.embeddings import TextEmbeddingFunction, register
    from pydantic import Field, PrivateAttr

__all__ = ["EdgeEmbedFunction"]


@register("edge-embed")
class EdgeEmbedFunction(TextEmbeddingFunction):
    """Embeds for LanceDB; vectors have unit length, queries get the model's query prompt.

    The arguments of ``create(name=…, dim=…, normalize=…, options={…})`` are stored in the table.
    """

    name: str | None = None
    """A model folder, a shipped model's name, a hub id, or None for the model that ships."""
    dim: int | None = None
    """The number of leading dimensions to keep; None is all."""
    normalize: bool = True
    """Scale vectors to unit length."""
    options: dict[str, Any] = Field(default_factory=dict)
    """``truncation``, and options of :class:`edge_embed.Embedder`."""
    max_retries: int = 0
    """No retries: a local model that refuses a text will refuse it again."""
    _encoder: RoleEncoder = PrivateAttr()

    def __init__(self, **data: Any) -> None:  # noqa: ANN401
        """Load the model."""
        super().__init__(**data)
        self._encoder = RoleEncoder(
            self.name, dim=self.dim, normalize=self.normalize, **self.options
        )

    def ndims(self) -> int:
        """Return the number of dimensions of a vector."""
        return self._encoder.dim

    def generate_embeddings(
        self,
        texts: Any,  # noqa: ANN401
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> list[Any]:
        """Embed documents: float32 arrays (dim,)."""
        return list(self._encoder.documents(_texts(texts)))

    def compute_query_embeddings(
        self,
        query: Any,  # noqa: ANN401
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> list[Any]:
        """Embed queries: float32 arrays (dim,)."""
        return list(self._encoder.queries(_texts(query)))


def _texts(texts: Any) -> list[str]:  # noqa: ANN401
    if isinstance(texts, str):
        return [texts]
    if isinstance(texts, pyarrow.Array | pyarrow.ChunkedArray):
        return list(texts.to_pylist())
    return list(texts)
