"""Golden values: vectors that a model gave on the machine where it was made, kept on its card.

If an installation gives others, it is broken, or its processor computes wrongly.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed.errors import ModelFormatError
from edge_embed.files.json_text import parse_json

__all__ = ["TOLERANCE", "GoldenValues"]

TOLERANCE = 0.01
"""Largest accepted difference: INT8 arithmetic rounds differently on other instruction sets."""

_CARD = "README.md"
_BLOCK = re.compile(r"## Golden values\n.*?```json\n(.*?)```", re.DOTALL)
_COMPONENTS = 6


@dataclass(frozen=True)
class GoldenValues:
    """Vectors of a few texts, as the card states them."""

    texts: tuple[str, ...]
    first_components: npt.NDArray[np.float64]
    """The first six components of each unit vector: (texts, 6)."""
    cosines: npt.NDArray[np.float64]
    """Cosines of all pairs of texts: (texts, texts)."""

    @classmethod
    def from_folder(cls, folder: Path) -> "GoldenValues | None":
        """Read the JSON block under the heading "Golden values" of the card in ``folder``.

        Returns:
            None where there is no card, or no such block on it.

        Raises:
            ModelFormatError: the block is damaged.
        """
        try:
            block = _BLOCK.search((folder / _CARD).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            return None
        if block is None:
            return None
        try:
            values = parse_json(block[1])
            texts = tuple(str(text) for text in values["texts"])
            components = np.array(values["first components"], np.float64)
            cosines = np.array(values["cosines"], np.float64)
        except (ValueError, KeyError, TypeError) as error:
            raise ModelFormatError(
                f"the golden values of {folder / _CARD} are damaged: copy the model again"
            ) from error
        count = len(texts)
        if components.shape != (count, _COMPONENTS) or cosines.shape != (count, count):
            raise ModelFormatError(
                f"the golden values of {folder / _CARD} are damaged: copy the model again"
            )
        return cls(texts, components, cosines)

    def largest_difference(self, unit: npt.NDArray[np.float32]) -> float:
        """Return the largest absolute difference of components and cosines.

        Args:
            unit: Vectors of :attr:`texts`, of unit length, float32 (texts, dim).
        """
        found = unit.astype(np.float64)
        components = np.abs(found[:, :_COMPONENTS] - self.first_components).max()
        return float(max(components, np.abs(found @ found.T - self.cosines).max()))
