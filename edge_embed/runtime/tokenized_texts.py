"""The results of tokenization: ragged token ids, and tokens with their places in the text."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Piece", "TokenIds", "TokenizedTexts", "TruncationSide"]

TokenIds = npt.NDArray[np.int64]
TruncationSide = Literal["left", "right"]


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of texts, special tokens included, truncated at the model's limit."""

    ids: list[TokenIds]
    """One int64 array a text, shape (tokens,)."""
    lengths: npt.NDArray[np.int64]
    """Tokens kept of each text, shape (texts,)."""
    full_lengths: npt.NDArray[np.int64]
    """Tokens of each text before truncation, shape (texts,)."""
    unknown: npt.NDArray[np.int64]
    """Number of unknown tokens among those kept of each text, shape (texts,)."""
    special: int
    """Number of special tokens that are added to each text."""
    incomplete: frozenset[int] = frozenset()
    """Indices of texts so long that only a part was tokenized; their ``full_lengths`` are lower
    bounds."""

    @property
    def content_lengths(self) -> npt.NDArray[np.int64]:
        """Tokens kept of each text, without special ones, shape (texts,)."""
        return np.maximum(self.lengths - self.special, 0)

    @property
    def truncated(self) -> npt.NDArray[np.int64]:
        """Indices of the texts that were truncated, int64."""
        return np.flatnonzero(self.full_lengths > self.lengths)


@dataclass(frozen=True)
class Piece:
    """A token and its place in the text."""

    id: int
    text: str
    """The part of the text that it covers; for a special token, its name."""
    special: bool
    start: int | None
    """Index of its first character in the text; None for special tokens."""
    stop: int | None
    """Index after its last character; None for special tokens."""
