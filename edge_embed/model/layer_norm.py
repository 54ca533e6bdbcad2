"""The LayerNorm module of a model folder, https://arxiv.org/abs/1607.06450: after pooling."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_embed.errors import ModelFormatError
from edge_embed.model.dense import WEIGHTS, read_safetensors
from edge_embed.model.json_files import number_of, read_json

__all__ = ["EPSILON", "LayerNorm", "ScaleAndShift"]

Floats = npt.NDArray[np.float32]

EPSILON = 1e-5
"""Added to the variance; torch's, which the module's configuration does not change."""


class ScaleAndShift(NamedTuple):
    """What a vector of mean 0 and variance 1 is multiplied by, and then what is added."""

    scale: Floats
    """(dimension,)"""
    shift: Floats
    """(dimension,)"""


@dataclass(frozen=True)
class LayerNorm:
    """What a LayerNorm module's config.json says; the weights stay on disk."""

    folder: Path
    dimension: int

    @property
    def in_features(self) -> int:
        """Dimensions that it takes."""
        return self.dimension

    @property
    def out_features(self) -> int:
        """Dimensions that it gives."""
        return self.dimension

    @classmethod
    def from_folder(cls, folder: Path) -> "LayerNorm":
        """Read ``config.json`` of a LayerNorm module.

        Raises:
            ModelFormatError: the file is missing or damaged.
        """
        path = folder / "config.json"
        dimension = number_of(read_json(path), "dimension")
        if dimension is None or dimension < 1:
            raise ModelFormatError(f"{path} does not say its dimension")
        return cls(folder, dimension)

    def weights(self) -> ScaleAndShift:
        """Return scale and shift, float32 (dimension,) each.

        Raises:
            ModelFormatError: the file is missing or damaged, or does not fit config.json.
        """
        path = self.folder / WEIGHTS
        arrays = read_safetensors(path)
        for name in ("norm.weight", "norm.bias"):
            if name not in arrays or arrays[name].shape != (self.dimension,):
                raise ModelFormatError(f"{path} holds no {name} of shape {(self.dimension,)}")
        return ScaleAndShift(arrays["norm.weight"], arrays["norm.bias"])

    def apply(self, vectors: Floats) -> Floats:
        """Return the module's output for ``vectors``, float32 (n, dimension)."""
        scale, shift = self.weights()
        wide = vectors.astype(np.float64)
        centred = wide - wide.mean(axis=1, keepdims=True)
        deviation = np.sqrt(wide.var(axis=1, keepdims=True) + EPSILON)
        return np.asarray(centred / deviation * scale + shift, np.float32)
