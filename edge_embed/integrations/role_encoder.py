"""Used by every adapter: a model that embeds queries and documents, each with its prompt."""

import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_embed.embedder import Embedder
from edge_embed.encoding import Truncation
from edge_embed.files.fork_lock import ForkLock

__all__ = ["Model", "RoleEncoder"]

Vectors = npt.NDArray[np.float32]

Model: TypeAlias = str | Path | Embedder | None
"""A model folder, a shipped model's name, a hub id, a loaded model, or None for the default."""

# Loaded models by model and options: several components of a pipeline share one.
_loaded: "weakref.WeakValueDictionary[object, Embedder]" = weakref.WeakValueDictionary()
_loading = ForkLock()


class RoleEncoder:
    """Embeds queries and documents, each with the model's own prompt if it has one.

    Safe to share between threads.
    """

    def __init__(
        self,
        model: Model = None,
        *,
        normalize: bool = True,
        dim: int | None = None,
        truncation: Truncation = "warn",
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Load a model, or share the one that is loaded already with the same options.

        Args:
            model: A model folder, a shipped model's name, a hub id, a loaded
                :class:`~edge_embed.Embedder`, or None for the model that ships.
            normalize: Scale vectors to unit length.
            dim: The number of leading dimensions to keep; None is all.
            truncation: What to do about texts over the token limit, as in ``Embedder.encode``.
            options: Options of :class:`~edge_embed.Embedder`, such as ``variant`` or ``hint``.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelFormatError: its folder is incomplete or damaged.
            InputError: an option or its value is invalid.
        """
        self.embedder = model if isinstance(model, Embedder) else _load(model, options)
        self.embedder.check_dim(dim)
        self.dim = dim or self.embedder.dim
        """The number of dimensions of a vector."""
        folder = self.embedder.config.folder
        named = model is not None and not isinstance(model, Embedder)
        self.model = str(model) if named else _name(folder)
        """The argument that loads the model again: the name that was given, else its own."""
        self._encoding: dict[str, Any] = {
            "normalize_embeddings": normalize,
            "truncate_dim": dim,
            "truncation": truncation,
        }
        self.settings: dict[str, Any] = {
            "model": self.model,
            "normalize": normalize,
            "dim": dim,
            "truncation": truncation,
            **({"variant": self.embedder.variant} if isinstance(model, Embedder) else options),
        }
        """The arguments that recreate this encoder, in another process too."""

    def queries(self, texts: Sequence[str]) -> Vectors:
        """Embed n queries, float32 (n, dim)."""
        return np.asarray(self.embedder.encode_query(list(texts), **self._encoding), np.float32)

    def documents(self, texts: Sequence[str]) -> Vectors:
        """Embed n documents, float32 (n, dim)."""
        return np.asarray(self.embedder.encode_document(list(texts), **self._encoding), np.float32)


def _load(model: str | Path | None, options: dict[str, Any]) -> Embedder:
    key = (str(model), tuple(sorted((name, str(value)) for name, value in options.items())))
    with _loading:
        embedder = _loaded.get(key)
        if embedder is None:
            embedder = _loaded[key] = Embedder(model, **options)
        return embedder


def _name(folder: Path) -> str:
    """Return a model's name if it ships with the package, else its folder."""
    from edge_embed.model.locate import shipped_models

    return folder.name if folder.name in shipped_models() else str(folder.resolve())
