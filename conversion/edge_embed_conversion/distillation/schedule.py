"""The hyperparameters of a run of :func:`distill`: steps, learning rate, depth, loss weights."""

import math
from dataclasses import dataclass

from edge_embed.errors import InputError

__all__ = ["Recipe", "share_of_rate"]


def share_of_rate(step: int, *, steps: int, warm: int, decay: float) -> float:
    """Return the factor on the learning rate at ``step``, 0 to 1: warmed up, held, decayed.

    Args:
        step: The step, from 0.
        steps: Number of steps of the run.
        warm: Steps until the factor is 1.
        decay: Share of the run over which it falls to zero.
    """
    if step < warm:
        return (step + 1) / warm
    start = int(steps * (1 - decay))
    if step < start:
        return 1.0
    return 1.0 - math.sqrt((step - start) / max(1, steps - start))


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of a training run; the defaults are those that measured best.

    The learning rate is warmed up, held, and decayed at the end (WSD: Hu et al. 2024,
    https://arxiv.org/abs/2404.06395), so that a run may be lengthened until its decay begins. The
    number of layers (passes of the shared layer) grows in three stages, as passes take most of a
    step's time (Gong et al. 2019, "Efficient Training of BERT by Progressively Stacking").
    """

    steps: int
    seed: int = 1
    learning_rate: float = 5e-4
    embedding_rate: float = 2.0
    """Learning rate of the embedding tables relative to the layer's, as a row is trained rarely."""
    warmup: float = 0.025
    decay: float = 0.27
    growth: tuple[float, float] = (0.27, 0.45)
    """Shares of the run after which two thirds of the passes are computed instead of one third,
    and after which all are."""
    batch_tokens: int = 832
    batches_per_step: int = 2
    similarity_weight: float = 20.0
    word_weight: float = 1.0
    weight_decay: float = 0.01
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    """Adam's coefficients of the running averages."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"steps is {self.steps}; it must be at least 1")
        if self.batch_tokens < 2 * 128:
            raise InputError(f"batch_tokens is {self.batch_tokens}; it must be at least 256")

    def rate(self, step: int) -> float:
        """Return the factor on the learning rate at ``step`` (from 0), 0 to 1."""
        warm = max(1, int(self.steps * self.warmup))
        return share_of_rate(step, steps=self.steps, warm=warm, decay=self.decay)

    def passes(self, step: int, *, layers: int) -> int:
        """Return the number of passes of the shared layer at ``step``."""
        first, second = (int(self.steps * share) for share in self.growth)
        if step < first:
            return max(1, math.ceil(layers / 3))
        if step < second:
            return max(1, math.ceil(2 * layers / 3))
        return layers
