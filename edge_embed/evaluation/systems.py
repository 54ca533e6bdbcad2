"""Models of this package as systems to compare."""

from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np

from edge_embed.embedder import Embedder
from edge_embed.errors import InputError
from edge_embed.evaluation.compare import System
from edge_embed.evaluation.measured import Role, Vectors
from edge_embed.evaluation.metrics import Floats
from edge_embed.model.file_hashes import file_hash
from edge_embed.model.receipt import read_receipt
from edge_embed.pairs.scorer import PairScorer

__all__ = ["embedder_system", "scorer_system"]


def embedder_system(
    model: Embedder, *, name: str | None = None, dims: Sequence[int] = ()
) -> System:
    """Return ``model`` as a system; queries and documents get the model's prompts.

    Args:
        model: A loaded model.
        name: How tables call it; None for its folder and variant.
        dims: Also measure vectors cut to the first so many dimensions.

    Raises:
        InputError: the model's vectors are not to be compared by cosine.
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
    return System(name or _name(model), embed, facts, dims)


def scorer_system(model: PairScorer, *, name: str | None = None) -> System:
    """Return a pair model of one output as a system that scores pairs."""

    def embed(texts: Sequence[str], role: Role) -> Vectors:
        raise InputError(f"{_name(model)} reads pairs, so it can only be measured on pairs")

    def score(pairs: Sequence[tuple[str, str]]) -> Floats:
        return np.asarray(model.predict(pairs), np.float64)

    return System(name or _name(model), embed, _facts(model), score=score)


def _name(model: Embedder | PairScorer) -> str:
    return f"{model.config.folder.resolve().name} {model.variant}"


def _facts(model: Embedder | PairScorer) -> dict[str, Any]:
    folder = model.config.folder.resolve()
    _, xml = model.config.variant_file(model.variant)
    receipt = read_receipt(folder)
    return {
        "folder": folder.name,
        "variant": model.variant,
        "weights_sha256": file_hash(xml.with_suffix(".bin")).sha256,
        "source": receipt.source.name if receipt else None,
        "revision": receipt.source.revision if receipt else None,
        "inference_precision": model.runtime.inference_precision,
        "versions": {tool: metadata.version(tool) for tool in ("edge-embed", "openvino", "numpy")},
    }
