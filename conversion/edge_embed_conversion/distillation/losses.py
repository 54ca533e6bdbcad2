"""The distillation losses.

- Direction: the student's projected sentence vector has the direction of the teacher's.
- Similarity: the student's own vectors, without the projection, have the teacher's cosines within a
  batch. These are the vectors of the final model (Tung & Mori 2019,
  https://arxiv.org/abs/1907.09682).
- Words: the mean of the token states of each whitespace word, projected, equals the teacher's. A
  sentence gives a dozen targets instead of one (hidden-state distillation as in TinyBERT, Jiao et
  al. 2020, https://arxiv.org/abs/1909.10351, across two tokenizers).
"""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["direction_loss", "similarity_loss", "word_loss", "word_means"]


def direction_loss(projected: Tensor, target: Tensor) -> Tensor:
    """Return the mean of 1 - cosine over the rows; both are (batch, teacher dim)."""
    return (1 - functional.cosine_similarity(projected, target, dim=-1)).mean()


def similarity_loss(vectors: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared difference of the cosines between different rows.

    ``vectors`` is (batch, dim), ``target`` is (batch, teacher dim).
    """
    own = functional.normalize(vectors, dim=-1)
    their = functional.normalize(target, dim=-1)
    difference = own @ own.T - their @ their.T
    rows = len(vectors)
    return difference.pow(2).sum() / (rows * (rows - 1))


def word_means(states: Tensor, index: Tensor, words: int) -> Tensor:
    """Average token states (tokens, dim) to word vectors (words, dim).

    ``index``, int64 (tokens,), is each token's word; tokens with the index ``words`` are ignored.
    """
    total = states.new_zeros((words + 1, states.shape[1])).index_add(0, index, states)
    count = torch.bincount(index, minlength=words + 1).clamp(min=1)
    return (total / count[:, None])[:words]


def word_loss(projected: Tensor, target: Tensor) -> Tensor:
    """Return the squared error divided by the target's variance; both are (words, dim)."""
    error = (projected - target).pow(2).sum()
    return error / (target - target.mean(dim=0)).pow(2).sum().clamp(min=1e-6)
