"""Models of this project under their names in fastembed's ``TextEmbedding``.

Importing this module registers the shipped models; :func:`register` adds others. Every library that
uses fastembed can then use them: qdrant-client's ``models.Document``, mem0, mcp-server-qdrant,
fastembed-haystack. A program that does not import this module is started through it:
``python -m edge_embed.integrations.fastembed mcp-server-qdrant``.

>>> import edge_embed.integrations.fastembed
>>> TextEmbedding("edge-embed-tiny").embed(["opening hours"])  # doctest: +SKIP
"""

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError
from edge_embed.files.fork_lock import ForkLock
from edge_embed.integrations.programs import run_program
from edge_embed.integrations.requirements import requires
from edge_embed.integrations.role_encoder import RoleEncoder
from edge_embed.model.card import ModelCard
from edge_embed.model.config import ModelConfig
from edge_embed.model.locate import resolve_model, shipped_models
from edge_embed.model.variants import weights_of

with requires("fastembed"):
    from fastembed import TextEmbedding
    from fastembed.common.model_description import DenseModelDescription, ModelSource
    from fastembed.text.text_embedding_base import TextEmbeddingBase

__all__ = ["EdgeEmbedTextEmbedding", "register"]

Vectors = npt.NDArray[np.float32]

# Texts in one call of the model; fastembed's batch_size is ignored, as batches are planned by
# tokens.
_CHUNK = 2048


@dataclass(frozen=True)
class _Registered:
    folder: Path
    options: dict[str, Any]
    description: DenseModelDescription


_registered: dict[str, _Registered] = {}  # by their names in lower case


class EdgeEmbedTextEmbedding(TextEmbeddingBase):
    """fastembed's interface to a registered model; vectors have unit length."""

    def __init__(
        self,
        model_name: str,
        cache_dir: str | None = None,
        threads: int | None = None,
        *,
        lazy_load: bool = False,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Load a registered model.

        Args:
            model_name: The name that it was registered under.
            cache_dir: Not used, as nothing is downloaded.
            threads: Inference threads; None is one for each usable processor core.
            lazy_load: Load the model when it is first used.
            kwargs: fastembed's other options; ``cuda=True`` and ``providers`` are refused.

        Raises:
            InputError: the options ask for another device than the CPU.
        """
        if kwargs.get("cuda") is True or kwargs.get("providers"):
            raise InputError(
                f"{model_name} runs on the CPU through OpenVINO: leave out cuda and providers"
            )
        super().__init__(model_name, cache_dir, threads, **kwargs)
        self._lock = ForkLock()
        self._loaded: RoleEncoder | None = None
        if not lazy_load:
            self._encoder()

    def embed(
        self,
        documents: str | Iterable[str],
        batch_size: int = 256,
        parallel: int | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> Iterator[Vectors]:
        """Yield the vector of each document, float32 (dim,).

        Args:
            documents: One text or several; an iterator is read lazily, in chunks.
            batch_size: Not used: batches are planned by tokens.
            parallel: Not used: one process already uses all threads.
            kwargs: Not used.
        """
        encoder = self._encoder()
        for chunk in _chunks(documents):
            yield from encoder.documents(chunk)

    def query_embed(
        self,
        query: str | Iterable[str],
        **kwargs: Any,  # noqa: ANN401
    ) -> Iterator[Vectors]:
        """Yield the vector of each query, float32 (dim,)."""
        encoder = self._encoder()
        for chunk in _chunks(query):
            yield from encoder.queries(chunk)

    def token_count(
        self,
        texts: str | Iterable[str],
        **kwargs: Any,  # noqa: ANN401
    ) -> int:
        """Return the number of tokens of all texts together, special tokens included."""
        embedder = self._encoder().embedder
        return sum(int(embedder.count_tokens(chunk).sum()) for chunk in _chunks(texts))

    @classmethod
    def get_embedding_size(cls, model_name: str) -> int:
        """Return the number of dimensions of a registered model's vectors."""
        return int(_registered[model_name.lower()].description.dim or 0)

    @property
    def embedding_size(self) -> int:
        """The number of dimensions of a vector."""
        return self.get_embedding_size(self.model_name)

    @classmethod
    def _list_supported_models(cls) -> list[DenseModelDescription]:
        return [model.description for model in _registered.values()]

    def _encoder(self) -> RoleEncoder:
        with self._lock:
            if self._loaded is None:
                model = _registered[self.model_name.lower()]
                threads = {} if self.threads is None else {"threads": self.threads}
                self._loaded = RoleEncoder(model.folder, **{**model.options, **threads})
            return self._loaded


def register(
    model: str | Path,
    *,
    name: str | None = None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Register a model in fastembed.

    Args:
        model: A model folder, a shipped model's name, or a hub id.
        name: Its name in fastembed; None is the name of its folder.
        options: ``normalize``, ``truncation``, and options of ``Embedder``.

    Raises:
        ModelNotFoundError: there is no such model.
        ModelFormatError: its folder is incomplete.
        InputError: another model has this name already.
    """
    folder = resolve_model(model)
    config, card = ModelConfig.from_folder(folder), ModelCard.from_folder(folder)
    name = name or folder.resolve().name
    if any(
        name.lower() == known["model"].lower() for known in TextEmbedding.list_supported_models()
    ):
        raise InputError(f"fastembed has a model {name!r} already: give another name=")
    _, graph = config.variant_file(options.get("variant"))
    description = DenseModelDescription(
        model=name,
        sources=ModelSource(url=folder.resolve().as_uri()),
        model_file=str(graph.relative_to(folder)),
        description="A model of edge-embed, computed through OpenVINO",
        license=card.licence or "",
        size_in_GB=round(weights_of(graph).stat().st_size / 1e9, 3),
        dim=config.dim,
    )
    _registered[name.lower()] = _Registered(folder, options, description)


def _chunks(texts: str | Iterable[str]) -> Iterator[list[str]]:
    rest = iter([texts] if isinstance(texts, str) else texts)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def _register_shipped() -> None:
    TextEmbedding.EMBEDDINGS_REGISTRY.append(EdgeEmbedTextEmbedding)
    for name in shipped_models():
        register(name)


if __name__ == "__main__":
    # Import the module under its own name: the classes of __main__ would be different ones.
    run_program(
        "edge_embed.integrations.fastembed",
        lambda: importlib.import_module("edge_embed.integrations.fastembed"),
    )
else:
    _register_shipped()
