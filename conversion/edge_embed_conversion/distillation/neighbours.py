"""Training batches in which some texts are similar to each other.

The texts of a random batch are nearly all unrelated, so their similarities teach little. Here a
shard's texts are clustered by their teachers' vectors and ordered by cluster. Windows of a few
thousand texts are sorted by length and split into batches by tokens, so that a batch has several
texts of each of its clusters, and little padding.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from edge_embed_conversion.distillation.ensemble import Ensemble

__all__ = ["Batch", "endless_batches"]

_CLUSTERS = 100
_ROUNDS = 6
_WINDOW = 2500
_MAX_ROWS, _MIN_ROWS = 256, 8
# Texts of every n-th shard are ordered at random, so that unrelated texts are seen too.
_RANDOM_EVERY = 3


@dataclass(frozen=True)
class Batch:
    """A batch of tokenized texts and their teachers' vectors."""

    ids: Tensor
    """int64 (texts, width)."""
    mask: Tensor | None
    """bool (texts, width); None where no text is padded."""
    joined: Tensor
    """float32 (texts, dims of all teachers)."""
    first: Tensor
    """float32 (texts, dim of the first teacher)."""


@dataclass(frozen=True)
class _Shard:
    ids: list[npt.NDArray[np.int64]]
    joined: npt.NDArray[np.float16]
    cluster: npt.NDArray[np.int64]


def endless_batches(
    ensemble: Ensemble, tokenizer: Tokenizer, *, batch_tokens: int, seed: int
) -> Iterator[Batch]:
    """Yield batches without end, shard after shard; teacher vectors are computed when needed."""
    generator = np.random.default_rng(seed)
    visits = 0
    while True:
        for number in range(ensemble.shards):
            shard = _load(ensemble, tokenizer, number, generator)
            visits += 1
            order = generator.permutation(len(shard.ids))
            if visits % _RANDOM_EVERY:
                clusters = generator.permutation(_CLUSTERS)
                order = order[np.argsort(clusters[shard.cluster[order]], kind="stable")]
            plan = _plan(shard, order, batch_tokens, generator)
            for index in generator.permutation(len(plan)):
                yield _batch(shard, plan[index], ensemble)


def _load(
    ensemble: Ensemble, tokenizer: Tokenizer, number: int, generator: np.random.Generator
) -> _Shard:
    joined = ensemble.shard(number)
    encodings = tokenizer.encode_batch(list(ensemble.texts(number)))
    ids = [np.asarray(encoding.ids, np.int64) for encoding in encodings]
    return _Shard(ids, joined, _clusters(joined.astype(np.float32), generator))


def _clusters(
    vectors: npt.NDArray[np.float32], generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return each row's cluster number by a few rounds of k-means, int64 (rows,)."""
    count = min(_CLUSTERS, len(vectors))
    centres = vectors[generator.choice(len(vectors), count, replace=False)]
    for _ in range(_ROUNDS):
        nearest = (vectors @ centres.T).argmax(axis=1)
        for number in range(count):
            members = vectors[nearest == number]
            if len(members):
                centres[number] = members.mean(axis=0)
    final: npt.NDArray[np.int64] = (vectors @ centres.T).argmax(axis=1)
    return final


def _plan(
    shard: _Shard,
    order: npt.NDArray[np.int64],
    batch_tokens: int,
    generator: np.random.Generator,
) -> list[npt.NDArray[np.int64]]:
    lengths = np.asarray([len(ids) for ids in shard.ids])
    plan: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(order), _WINDOW):
        window = order[start : start + _WINDOW]
        window = window[np.argsort(lengths[window] + generator.random(len(window)), kind="stable")]
        first = 0
        while first < len(window):
            rows = 1
            while (
                first + rows < len(window)
                and rows < _MAX_ROWS
                and (rows + 1) * lengths[window[first + rows]] <= batch_tokens
            ):
                rows += 1
            # Batches of too few texts are dropped; the next pass over the shard groups anew.
            if rows >= min(_MIN_ROWS, len(window)):
                plan.append(window[first : first + rows])
            first += rows
    return plan


def _batch(shard: _Shard, rows: npt.NDArray[np.int64], ensemble: Ensemble) -> Batch:
    texts = [shard.ids[row] for row in rows]
    width = max(len(ids) for ids in texts)
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), bool)
    for row, own in enumerate(texts):
        ids[row, : len(own)] = own
        mask[row, : len(own)] = True
    joined = shard.joined[rows].astype(np.float32)
    return Batch(
        torch.from_numpy(ids),
        None if mask.all() else torch.from_numpy(mask),
        torch.from_numpy(joined),
        torch.from_numpy(ensemble.first(joined)),
    )
