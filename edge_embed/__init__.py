"""Sentence embeddings at the edge: INT8 OpenVINO models on a CPU, without torch."""

import edge_embed.runtime.no_telemetry  # noqa: F401 - first, see there
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
    "SearchEngineError",
    "TextError",
    "TextTooLongError",
    "TextWarning",
    "TruncationWarning",
    "__version__",
]

__version__ = "0.1.0"
