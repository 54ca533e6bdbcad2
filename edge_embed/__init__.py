"""Sentence embeddings at the edge: INT8 OpenVINO models on a CPU, without torch."""

from typing import TYPE_CHECKING, Any

import edge_embed.hardware.required
import edge_embed.runtime.openvino_import  # noqa: F401 - before openvino, see there
from edge_embed.embedder import Embedder
from edge_embed.encoding import TruncationWarning
from edge_embed.errors import (
    ClusterError,
    EdgeEmbedError,
    InputError,
    MissingExtraError,
    ModelFormatError,
    ModelNotFoundError,
    OutputError,
    OverloadedError,
    SearchEngineError,
    TextError,
    TextTooLongError,
)
from edge_embed.runtime.text_warnings import TextWarning

if TYPE_CHECKING:
    from edge_embed.pairs.scorer import PairScorer

__all__ = [
    "ClusterError",
    "EdgeEmbedError",
    "Embedder",
    "InputError",
    "MissingExtraError",
    "ModelFormatError",
    "ModelNotFoundError",
    "OutputError",
    "OverloadedError",
    "PairScorer",
    "SearchEngineError",
    "TextError",
    "TextTooLongError",
    "TextWarning",
    "TruncationWarning",
    "__version__",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import PairScorer on first use, as few programs need it."""
    if name == "PairScorer":
        from edge_embed.pairs.scorer import PairScorer

        return PairScorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
