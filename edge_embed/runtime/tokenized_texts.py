"""What a tokenizer makes of texts: ragged token ids, and single tokens with their places."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Piece", "TokenIds", "TokenizedTexts", "TruncationSide"]

TokenIds = npt.NDArray[np.int64]
TruncationSide = Literal["left", "right"]


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of some texts, special tokens included, cut at the model's limit."""

    ids: list[TokenIds]
    """One int64 array a text, shape (tokens,)."""
    lengths: npt.NDArray[np.int64]
    """Tokens kept of each text, shape (texts,)."""
    full_lengths: npt.NDArray[np.int64]
    """Tokens that each text had before it was cut, shape (texts,)."""
    unknown: npt.NDArray[np.int64]
    """Tokens of each text, among those kept, that stand for something unknown, shape (texts,)."""
    special: int
    """Tokens that the template adds to each text."""
    incomplete: frozenset[int] = frozenset()
    """Texts so long that not all of them was tokenized: their full length is at least that."""

    @property
    def content_lengths(self) -> npt.NDArray[np.int64]:
        """Tokens kept of each text, without special ones, shape (texts,)."""
        return np.maximum(self.lengths - self.special, 0)

    @property
    def truncated(self) -> npt.NDArray[np.int64]:
        """Indices of the texts that were cut."""
        return np.flatnonzero(self.full_lengths > self.lengths)


@dataclass(frozen=True)
class Piece:
    """A token and where it stands in its text."""

    id: int
    text: str
    """The part of the text that it stands for; a special token's own name."""
    special: bool
    start: int | None
    """First character in the text; None for special tokens."""
    stop: int | None
