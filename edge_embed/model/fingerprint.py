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
from edge_embed.model.variants import TABLES, weights_of

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

    @property
    def derived(self) -> str | None:
        """A hash of what was derived from the files when it was loaded; None where nothing was."""


def model_fingerprint(model: LoadedModel) -> str:
    """Return 64 hexadecimal digits: equal for copies of a model folder, its variant and exit."""
    folder = model.config.folder
    _, graph = model.config.variant_file(model.variant)
    chosen = {graph, weights_of(graph)}
    files = set(chosen)
    for file in folder.rglob("*"):
        place = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in place.parts)
        if (
            file.is_file()
            and not hidden
            and place.parts[0] != graph.parent.name
            and file.name not in _BESIDE
            and not (model.config.is_table and file.name in TABLES.values())
            and file.suffix in (".json", ".txt", ".model", ".safetensors", ".bin")
        ):
            files.add(file)
    digest = hashlib.sha256()
    for file in sorted(files):
        name = "graph" + file.suffix if file in chosen else str(file.relative_to(folder))
        digest.update(f"{name} {known_sha256(file)}\n".encode())
    if model.layers is not None:
        digest.update(f"layers {model.layers}\n".encode())
    if model.derived is not None:
        digest.update(f"derived {model.derived}\n".encode())
    return digest.hexdigest()
