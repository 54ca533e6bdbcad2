"""Token ids of pairs, and batches of pairs with the same number of tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

__all__ = ["PairStore", "tokenize_pairs"]

_CHUNK = 20_000


@dataclass(frozen=True)
class PairStore:
    """Ragged token ids and token type ids of every pair, in both orders of its sentences.

    ``ids`` and ``types`` hold (sentence1, sentence2) and (sentence2, sentence1), equally long; pair
    i is ``offsets[i]:offsets[i + 1]`` of either.
    """

    ids: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
    types: tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def lengths(self) -> npt.NDArray[np.int64]:
        """Return the number of tokens of each pair, int64 (pairs,)."""
        return np.diff(self.offsets)

    def batch(
        self, rows: npt.NDArray[np.int64], swapped: npt.NDArray[np.bool_]
    ) -> tuple[Tensor, Tensor]:
        """Return token ids and token type ids, int64 (pairs, length), of equally long pairs.

        Args:
            rows: Indices of the pairs, (pairs,).
            swapped: Which pairs are taken in the order (sentence2, sentence1), (pairs,).
        """
        ids = np.stack(
            [self._row(self.ids, row, turn) for row, turn in zip(rows, swapped, strict=True)]
        )
        types = np.stack(
            [self._row(self.types, row, turn) for row, turn in zip(rows, swapped, strict=True)]
        )
        return torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(types.astype(np.int64))

    def _row(
        self,
        both: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]],
        row: np.int64,
        turn: np.bool_,
    ) -> npt.NDArray[np.generic]:
        return both[int(turn)][self.offsets[row] : self.offsets[row + 1]]


def tokenize_pairs(
    first: Sequence[str], second: Sequence[str], tokenizer: Tokenizer, *, max_length: int
) -> PairStore:
    """Encode pairs in both orders; longer ones lose tokens of their longer sentence first."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    ids: tuple[list[npt.NDArray[np.int32]], ...] = ([], [])
    types: tuple[list[npt.NDArray[np.int8]], ...] = ([], [])
    lengths: list[int] = []
    for start in range(0, len(first), _CHUNK):
        a, b = first[start : start + _CHUNK], second[start : start + _CHUNK]
        there = tokenizer.encode_batch(list(zip(a, b, strict=True)))
        back = tokenizer.encode_batch(list(zip(b, a, strict=True)))
        for one, other in zip(there, back, strict=True):
            # Truncation may differ by a token between the orders: then the first is stored twice.
            other = other if len(other.ids) == len(one.ids) else one
            lengths.append(len(one.ids))
            for turn, encoding in enumerate((one, other)):
                ids[turn].append(np.asarray(encoding.ids, np.int32))
                types[turn].append(np.asarray(encoding.type_ids, np.int8))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return PairStore(
        (np.concatenate(ids[0]), np.concatenate(ids[1])),
        (np.concatenate(types[0]), np.concatenate(types[1])),
        offsets,
    )
