"""Models of this package as systems to compare."""

from collections.abc import Sequence
from importlib import metadata

import numpy as np

from edge_embed.embedder import Embedder
from edge_embed.evaluation.compare import System
from edge_embed.evaluation.measured import Role, Vectors
from edge_embed.model.receipt import file_hash, read_receipt

__all__ = ["embedder_system"]


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

    folder = model.config.folder.resolve()
    _, xml = model.config.variant_file(model.variant)
    receipt = read_receipt(folder)
    facts = {
        "folder": folder.name,
        "variant": model.variant,
        "dim": model.dim,
        "weights_sha256": file_hash(xml.with_suffix(".bin")).sha256,
        "source": receipt.source.name if receipt else None,
        "revision": receipt.source.revision if receipt else None,
        "inference_precision": model.runtime.inference_precision,
        "versions": {tool: metadata.version(tool) for tool in ("edge-embed", "openvino", "numpy")},
    }
    return System(name or f"{folder.name} {model.variant}", embed, facts, dims)
