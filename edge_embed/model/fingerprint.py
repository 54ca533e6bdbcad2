"""Which model made these vectors: a hash of every file that shapes them.

Vectors of different models cannot be compared, and nothing in them says so. Whatever stores vectors
stores this beside them, and refuses those of another model.
"""

import hashlib
from typing import Protocol

from edge_embed.model.config import ModelConfig
from edge_embed.model.file_hashes import known_sha256
from edge_embed.model.pair_threshold import PAIR_THRESHOLD
from edge_embed.model.precision import RANGES_FILE
from edge_embed.model.receipt import RECEIPT

__all__ = ["model_fingerprint"]

# What may change without changing a vector.
_BESIDE = frozenset({RECEIPT, RANGES_FILE, PAIR_THRESHOLD, "README.md", "LICENSE"})


class LoadedModel(Protocol):
    """What is asked of a model: :class:`edge_embed.Embedder` has it."""

    @property
    def config(self) -> ModelConfig:
        """What its folder says."""

    @property
    def variant(self) -> str:
        """Which of the folder's weights it runs."""

    @property
    def layers(self) -> int | None:
        """With how many layers it runs; None is the whole model."""


def model_fingerprint(model: LoadedModel) -> str:
    """Return 64 hexadecimal digits: equal for copies of a model folder, its variant and exit."""
    folder = model.config.folder
    _, graph = model.config.variant_file(model.variant)
    files = [graph, graph.with_suffix(".bin")]
    for file in folder.rglob("*"):
        place = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in place.parts)
        if (
            file.is_file()
            and not hidden
            and place.parts[0] != graph.parent.name
            and file.name not in _BESIDE
            and file.suffix in (".json", ".txt", ".model", ".safetensors", ".bin")
        ):
            files.append(file)
    digest = hashlib.sha256()
    for file in sorted(files):
        name = "graph" + file.suffix if file in files[:2] else str(file.relative_to(folder))
        digest.update(f"{name} {known_sha256(file)}\n".encode())
    if model.layers is not None:
        digest.update(f"layers {model.layers}\n".encode())
    return digest.hexdigest()
