"""Exact duplicates: texts that are equal apart from case, Unicode form and white space."""

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError

__all__ = ["Keep", "TextKeys", "keep_order", "normal_form"]

Keep = Literal["first", "longest"]
Indices = npt.NDArray[np.intp]


def normal_form(text: str) -> str:
    """Return ``text`` in Unicode form NFKC, case folded, white space collapsed and stripped."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


class TextKeys:
    """Hashes of texts (32 bytes each), to find exact duplicates without holding the texts."""

    def __init__(self) -> None:
        self._normal, self._raw = bytearray(), bytearray()

    def add(self, text: str) -> None:
        """Add the next text."""
        self._normal += hashlib.blake2b(_bytes(normal_form(text)), digest_size=16).digest()
        self._raw += hashlib.blake2b(_bytes(text), digest_size=16).digest()

    def extend(self, other: "TextKeys") -> None:
        """Append the texts of ``other``."""
        self._normal += other._normal
        self._raw += other._raw

    def __len__(self) -> int:
        return len(self._normal) // 16

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """For each text the index of the first one with the same normal form, int64 (n,)."""
        return _first_equal(self._keys())

    def match(self, known: "TextKeys") -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return :attr:`groups`, and for each text the first of ``known`` that equals it, or -1."""
        first = _first_equal(np.concatenate([known._keys(), self._keys()]))[len(known) :]
        return self.groups, np.where(first < len(known), first, -1)

    def _keys(self) -> npt.NDArray[np.uint64]:
        return np.frombuffer(bytes(self._normal), np.uint64).reshape(-1, 2)

    @property
    def ties(self) -> npt.NDArray[np.uint64]:
        """A number for each text that depends on its content only, to break ties: uint64 (n,)."""
        return np.frombuffer(bytes(self._raw), "<u8").reshape(-1, 2)[:, 0].astype(np.uint64)

    @property
    def digest(self) -> str:
        """A hash of all texts in order, 64 hexadecimal digits."""
        return hashlib.sha256(bytes(self._raw)).hexdigest()


def keep_order(
    count: int,
    *,
    values: Sequence[float] | npt.NDArray[np.floating] | None = None,
    ties: npt.NDArray[np.uint64] | None = None,
) -> Indices:
    """Return rows from the best to the worst, a permutation of ``count`` rows.

    Args:
        count: The number of rows.
        values: A number for each row, such as its length; the highest is best. None keeps the
            order of the rows.
        ties: Breaks ties between equal values, so that the result does not depend on the order of
            the input.

    Raises:
        InputError: a value is not finite, or there are not ``count`` of them.
    """
    if values is None:
        return np.arange(count)
    numbers = np.asarray(values, np.float64)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise InputError(f"values should be {count} finite numbers, one a row")
    if ties is None:
        ties = np.zeros(count, np.uint64)
    return np.lexsort((np.arange(count), ties, -numbers))


def _first_equal(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return for each row of ``keys`` (n, 2) the first row that equals it, (n,)."""
    order = np.lexsort((np.arange(len(keys)), keys[:, 1], keys[:, 0]))
    ordered = keys[order]
    new = np.ones(len(keys), np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = np.empty(len(keys), np.int64)
    first[order] = order[new][np.cumsum(new) - 1]
    return first


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
