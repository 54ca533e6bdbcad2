"""Padded batches of texts of similar length, for inference with a student."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["PaddedBatch", "padded_batches"]

# Padding included.
_BATCH_TOKENS = 4096


class PaddedBatch(NamedTuple):
    """Texts of similar length."""

    rows: list[int]
    """Indices of the texts."""
    ids: Tensor
    """Token ids, int64 (texts, width), padded with 0."""
    mask: Tensor
    """bool (texts, width), true for tokens of a text."""


def padded_batches(ids: Sequence[Sequence[int]]) -> Iterator[PaddedBatch]:
    """Yield every text once, the shortest first.

    Args:
        ids: Token ids of each text.
    """
    rows: list[int] = []
    for row in sorted(range(len(ids)), key=lambda row: len(ids[row])):
        if rows and (len(rows) + 1) * len(ids[row]) > _BATCH_TOKENS:
            yield _padded(ids, rows)
            rows = []
        rows.append(row)
    if rows:
        yield _padded(ids, rows)


def _padded(ids: Sequence[Sequence[int]], rows: list[int]) -> PaddedBatch:
    padded = torch.zeros(len(rows), len(ids[rows[-1]]), dtype=torch.int64)
    mask = torch.zeros_like(padded, dtype=torch.bool)
    for place, row in enumerate(rows):
        padded[place, : len(ids[row])] = torch.tensor(ids[row])
        mask[place, : len(ids[row])] = True
    return PaddedBatch(rows, padded, mask)
