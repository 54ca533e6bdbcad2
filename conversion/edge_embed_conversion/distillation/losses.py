"""What the student is asked to reproduce.

- Direction: the projected sentence vector points where the teacher's does.
- Similarity: the student's own vectors, unprojected, have the teacher's cosines inside a batch.
  This shapes the vector that ships (Tung & Mori 2019, https://arxiv.org/abs/1907.09682).
- Words: the mean of the token states of each whitespace word, projected, is the teacher's. A
  sentence gives a dozen targets instead of one (hidden-state distillation as in TinyBERT, Jiao et
  al. 2020, https://arxiv.org/abs/1909.10351, across two tokenizers).
"""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["direction_loss", "similarity_loss", "word_loss", "word_means"]


def direction_loss(projected: Tensor, target: Tensor) -> Tensor:
    """Return the mean of 1 - cosine; both are (batch, teacher dim)."""
    return (1 - functional.cosine_similarity(projected, target, dim=-1)).mean()


def similarity_loss(vectors: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared difference of the in-batch cosines off the diagonal."""
    own = functional.normalize(vectors, dim=-1)
    their = functional.normalize(target, dim=-1)
    difference = own @ own.T - their @ their.T
    rows = len(vectors)
    return difference.pow(2).sum() / (rows * (rows - 1))


def word_means(states: Tensor, index: Tensor, words: int) -> Tensor:
    """Average (tokens, dim) states into (words, dim) by an int64 word number for each token.

    Tokens numbered ``words`` belong to no word and are left out.
    """
    total = states.new_zeros((words + 1, states.shape[1])).index_add(0, index, states)
    count = torch.bincount(index, minlength=words + 1).clamp(min=1)
    return (total / count[:, None])[:words]


def word_loss(projected: Tensor, target: Tensor) -> Tensor:
    """Return the squared error relative to the target's variance; both are (words, dim)."""
    error = (projected - target).pow(2).sum()
    return error / (target - target.mean(dim=0)).pow(2).sum().clamp(min=1e-6)
