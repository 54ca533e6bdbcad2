"""Models of this package as systems to evaluate."""

from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np

from edge_embed.embedder import Embedder
from edge_embed.errors import InputError
from edge_embed.evaluation.compare import Reranker, System
from edge_embed.evaluation.measured import Role, Score, Vectors
from edge_embed.model.file_hashes import file_hash
from edge_embed.model.receipt import read_receipt
from edge_embed.model.variants import weights_of
from edge_embed.pairs.scorer import PairScorer

__all__ = ["embedder_system", "reranker", "scorer_system"]


def embedder_system(
    model: Embedder,
    *,
    name: str | None = None,
    dims: Sequence[int] = (),
    reranker: Reranker | None = None,
) -> System:
    """Return ``model`` as a system; queries and documents get the model's prompts.

    Args:
        model: A loaded model.
        name: Its name in results; None for its folder and variant.
        dims: Numbers of dimensions; vectors truncated to each are evaluated too.
        reranker: Also evaluate rankings that are reranked by it.

    Raises:
        InputError: the model's vectors should not be compared by cosine.
    """
    model.config.require_cosine("an evaluation")

    def embed(texts: Sequence[str], role: Role) -> Vectors:
        encode = {
            "text": model.encode,
            "query": model.encode_query,
            "document": model.encode_document,
        }[role]
        return np.asarray(encode(texts, show_progress=False), np.float32)

    facts = _facts(model) | {"dim": model.dim}
    if reranker is not None:
        facts["reranker"] = {**reranker.facts, "candidates": reranker.candidates}
    return System(name or _name(model), embed, facts, dims, reranker=reranker)


def reranker(model: PairScorer, *, candidates: int = 50) -> Reranker:
    """Return a pair model with one output as a reranker of the first ``candidates`` documents."""
    return Reranker(_name(model), _score(model), candidates, _facts(model))


def scorer_system(model: PairScorer, *, name: str | None = None) -> System:
    """Return a pair model with one output as a system that scores pairs."""

    def embed(texts: Sequence[str], role: Role) -> Vectors:
        raise InputError(f"{_name(model)} reads pairs, so it can only be measured on pairs")

    return System(name or _name(model), embed, _facts(model), score=_score(model))


def _score(model: PairScorer) -> Score:
    return lambda pairs: np.asarray(model.predict(pairs), np.float64)


def _name(model: Embedder | PairScorer) -> str:
    return f"{model.config.folder.resolve().name} {model.variant}"


def _facts(model: Embedder | PairScorer) -> dict[str, Any]:
    folder = model.config.folder.resolve()
    _, graph = model.config.variant_file(model.variant)
    receipt = read_receipt(folder)
    return {
        "folder": folder.name,
        "variant": model.variant,
        "weights_sha256": file_hash(weights_of(graph)).sha256,
        "source": receipt.source.name if receipt else None,
        "revision": receipt.source.revision if receipt else None,
        "inference_precision": model.runtime.inference_precision,
        "versions": {tool: metadata.version(tool) for tool in ("edge-embed", "openvino", "numpy")},
    }
