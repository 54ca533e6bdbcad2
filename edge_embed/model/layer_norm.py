"""The LayerNorm module of a model folder, after pooling (https://arxiv.org/abs/1607.06450)."""

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
"""Added to the variance: torch's default, which the module's configuration cannot change."""


class ScaleAndShift(NamedTuple):
    """The learned factors and summands of a LayerNorm, float32."""

    scale: Floats
    """(dimension,)"""
    shift: Floats
    """(dimension,)"""


@dataclass(frozen=True)
class LayerNorm:
    """A LayerNorm module as its config.json describes it; :meth:`weights` reads the weights."""

    folder: Path
    dimension: int

    @property
    def in_features(self) -> int:
        """Number of input dimensions."""
        return self.dimension

    @property
    def out_features(self) -> int:
        """Number of output dimensions."""
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
        """Return the module's output for ``vectors``, both float32 (n, dimension)."""
        scale, shift = self.weights()
        wide = vectors.astype(np.float64)
        centred = wide - wide.mean(axis=1, keepdims=True)
        deviation = np.sqrt(wide.var(axis=1, keepdims=True) + EPSILON)
        return np.asarray(centred / deviation * scale + shift, np.float32)
