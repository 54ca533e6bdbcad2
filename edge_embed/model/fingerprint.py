"""Identify the model that made some vectors: a hash of every file that affects vectors.

Vectors of different models cannot be compared, and the vectors themselves do not show it. So an
index, for example, stores this hash, and refuses vectors of a model with another.
"""

import hashlib
from typing import Protocol

from edge_embed.model.config import ModelConfig
from edge_embed.model.file_hashes import known_sha256
from edge_embed.model.file_names import PAIR_THRESHOLD, RANGES_FILE, RECEIPT
from edge_embed.model.variants import TABLES, weights_of

__all__ = ["folder_fingerprint", "model_fingerprint"]

# Files that do not affect vectors.
_IGNORED = frozenset({RECEIPT, RANGES_FILE, PAIR_THRESHOLD, "README.md", "LICENSE"})


class LoadedModel(Protocol):
    """The attributes of a model that are used, such as those of :class:`edge_embed.Embedder`."""

    @property
    def config(self) -> ModelConfig:
        """The folder's configuration."""

    @property
    def variant(self) -> str:
        """The variant of the weights that it runs."""

    @property
    def layers(self) -> int | None:
        """How many layers are computed; None is all of them."""

    @property
    def derived(self) -> str | None:
        """A hash of the table that was derived when the model was loaded; None if there is none."""


def model_fingerprint(model: LoadedModel) -> str:
    """Return a SHA-256 as 64 hexadecimal digits.

    It is the same for copies of a model folder that run the same variant and exit.
    """
    return folder_fingerprint(
        model.config, model.variant, layers=model.layers, derived=model.derived
    )


def folder_fingerprint(
    config: ModelConfig, variant: str, *, layers: int | None = None, derived: str | None = None
) -> str:
    """Return the fingerprint of a model from its files, without loading it.

    Args:
        config: The folder's configuration.
        variant: The variant of the weights that it runs.
        layers: The number of layers of an early exit; None is the whole model.
        derived: A hash of weights that are computed from the files at load; None if there are none.
    """
    folder = config.folder
    _, graph = config.variant_file(variant)
    chosen = {graph, weights_of(graph)}
    files = set(chosen)
    for file in folder.rglob("*"):
        place = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in place.parts)
        if (
            file.is_file()
            and not hidden
            and place.parts[0] != graph.parent.name
            and file.name not in _IGNORED
            and not (config.is_table and file.name in TABLES.values())
            and file.suffix in (".json", ".txt", ".model", ".safetensors", ".bin")
        ):
            files.add(file)
    digest = hashlib.sha256()
    for file in sorted(files):
        name = "graph" + file.suffix if file in chosen else str(file.relative_to(folder))
        digest.update(f"{name} {known_sha256(file)}\n".encode())
    if layers is not None:
        digest.update(f"layers {layers}\n".encode())
    if derived is not None:
        digest.update(f"derived {derived}\n".encode())
    return digest.hexdigest()
