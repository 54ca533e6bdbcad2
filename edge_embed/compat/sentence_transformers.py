"""A replacement for the package ``sentence_transformers`` without torch, for unchanged programs.

It is installed only on demand, and not if the real package is loaded already::

    from edge_embed.compat import sentence_transformers
    sentence_transformers.install(models={"all-MiniLM-L6-v2": "build/all-MiniLM-L6-v2"})

or for a whole program: ``python -m edge_embed.compat.sentence_transformers PROGRAM ARGUMENT…``.

It has ``SentenceTransformer`` (an :class:`~edge_embed.Embedder` that takes that constructor's
arguments) and, in ``util``, ``cos_sim``, ``dot_score``, ``pairwise_cos_sim``,
``normalize_embeddings`` and ``semantic_search``, all with arrays instead of tensors. There is no
training, no ``CrossEncoder`` and no ``SparseEncoder``: using a missing name raises an ImportError.
"""

import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from edge_embed.embedder import Embedder
from edge_embed.errors import InputError
from edge_embed.integrations.programs import run_program
from edge_embed.model.locate import shipped_models
from edge_embed.sentence_transformers_api import check_arguments
from edge_embed.vectors import unit_length

__all__ = ["SentenceTransformer", "install", "uninstall"]

Floats = npt.NDArray[np.float32]

_NAME = "sentence_transformers"
# Number of positional arguments of encode before truncate_dim.
_BEFORE_TRUNCATE_DIM = 11
_models: dict[str, str | Path] = {}


class SentenceTransformer(Embedder):
    """An Embedder with the constructor of ``sentence_transformers.SentenceTransformer``."""

    def __init__(
        self,
        model_name_or_path: str | Path | None = None,
        *,
        device: str | None = None,
        revision: str | None = None,
        truncate_dim: int | None = None,
        modules: object = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity_fn_name: str | None = None,
        **ignored: Any,  # noqa: ANN401
    ) -> None:
        """Load a model.

        Args:
            model_name_or_path: A name given to ``install(models=…)``, a model folder, a shipped
                model's name, or a hub id; a name without a slash is one of
                ``sentence-transformers/``.
            device: ``cpu`` or None.
            revision: Branch, tag or commit of a hub id.
            truncate_dim: The default of ``truncate_dim`` of ``encode``.
            modules: Refused, as models are folders.
            prompts: Refused unless they equal those of the model folder.
            default_prompt_name: Likewise.
            similarity_fn_name: Likewise.
            ignored: Accepted without effect: ``cache_folder``, ``trust_remote_code`` (no code of a
                model is ever run), ``token``, ``backend``, ``model_kwargs`` and others.

        Raises:
            ModelNotFoundError: there is no such model.
            InputError: an argument is not supported.
        """
        if modules is not None:
            raise InputError("modules= is not offered: give the name or the folder of a model")
        check_arguments(
            output_value="sentence_embedding",
            convert_to_numpy=True,
            convert_to_tensor=False,
            device=device,
        )
        super().__init__(_model(model_name_or_path), revision=revision)
        for name, asked, here in (
            ("prompts", prompts, self.prompts),
            ("default_prompt_name", default_prompt_name, self.default_prompt_name),
            ("similarity_fn_name", similarity_fn_name, self.similarity_fn_name),
        ):
            if asked is not None and asked != here:
                raise InputError(
                    f"{name}={asked!r} is not what the model folder says ({here!r}): change it in "
                    "its config_sentence_transformers.json"
                )
        self.check_dim(truncate_dim)
        self.truncate_dim = truncate_dim

    def encode(
        self,
        *arguments: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> npt.NDArray[Any]:
        """Embed texts, as :meth:`Embedder.encode` does."""
        if self.truncate_dim is not None and len(arguments) <= _BEFORE_TRUNCATE_DIM:
            options["truncate_dim"] = options.get("truncate_dim") or self.truncate_dim
        return super().encode(*arguments, **options)


def install(models: Mapping[str, str | Path] | None = None) -> None:
    """Make ``import sentence_transformers`` return the replacement in this process.

    Args:
        models: Names of models in the program to the models of this project to use for them.

    Raises:
        InputError: the real package is imported already.
    """
    there = sys.modules.get(_NAME)
    if there is not None and not isinstance(there, _StandIn):
        raise InputError(
            "the real sentence_transformers is imported already: install the stand-in before "
            "anything imports it"
        )
    _models.update(models or {})
    if there is None:
        from edge_embed import __version__

        util = _StandIn(f"{_NAME}.util", _UTILITIES)
        names = {"SentenceTransformer": SentenceTransformer, "util": util}
        sys.modules[_NAME] = _StandIn(
            _NAME, {**names, "__version__": f"6.2+edge-embed.{__version__}"}
        )
        sys.modules[f"{_NAME}.util"] = util


def uninstall() -> None:
    """Remove the replacement; names that a program has imported from it keep working."""
    _models.clear()
    for name in (_NAME, f"{_NAME}.util"):
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]


class _StandIn(ModuleType):
    """A module whose missing names raise an ImportError with a remedy."""

    def __init__(self, name: str, content: Mapping[str, object]) -> None:
        super().__init__(name, "A stand-in of edge_embed.compat.sentence_transformers.")
        self.__spec__ = ModuleSpec(name, None, is_package=name == _NAME)
        self.__path__: list[str] = []
        self.__dict__.update(content)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ImportError(
            f"the stand-in for {self.__name__} of edge-embed has no {name}: this program needs the "
            "real one (pip install sentence-transformers)"
        )


def _model(name: str | Path | None) -> str | Path | None:
    text = str(name)
    if name is None or text in _models:
        return _models.get(text)
    bare = "/" not in text and text not in shipped_models() and not Path(text).exists()
    return f"sentence-transformers/{text}" if bare else name


def _rows(vectors: npt.ArrayLike) -> Floats:
    return np.atleast_2d(np.asarray(vectors, np.float32))


def _cos_sim(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    return np.asarray(unit_length(_rows(a)) @ unit_length(_rows(b)).T)


def _dot_score(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    return np.asarray(_rows(a) @ _rows(b).T)


def _pairwise_cos_sim(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    return np.asarray(np.sum(unit_length(_rows(a)) * unit_length(_rows(b)), axis=1))


def _normalize_embeddings(embeddings: npt.ArrayLike) -> Floats:
    return unit_length(_rows(embeddings))


def _semantic_search(
    query_embeddings: npt.ArrayLike,
    corpus_embeddings: npt.ArrayLike,
    query_chunk_size: int = 100,
    corpus_chunk_size: int = 500_000,
    top_k: int = 10,
    score_function: Any = _cos_sim,  # noqa: ANN401
) -> list[list[dict[str, int | float]]]:
    queries, corpus = _rows(query_embeddings), _rows(corpus_embeddings)
    hits: list[list[dict[str, int | float]]] = []
    for start in range(0, len(queries), query_chunk_size):
        scores = np.asarray(score_function(queries[start : start + query_chunk_size], corpus))
        order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
        hits += [
            [{"corpus_id": int(row), "score": float(found[row])} for row in rows]
            for rows, found in zip(order, scores, strict=True)
        ]
    return hits


_UTILITIES: Mapping[str, object] = {
    "cos_sim": _cos_sim,
    "pytorch_cos_sim": _cos_sim,
    "dot_score": _dot_score,
    "pairwise_cos_sim": _pairwise_cos_sim,
    "normalize_embeddings": _normalize_embeddings,
    "semantic_search": _semantic_search,
}


if __name__ == "__main__":
    # Use the imported module, not this copy that runs as __main__.
    from edge_embed.compat import sentence_transformers

    run_program("edge_embed.compat.sentence_transformers", sentence_transformers.install)
