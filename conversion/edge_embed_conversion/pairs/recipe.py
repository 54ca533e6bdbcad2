"""The hyperparameters of training a pair model."""

from dataclasses import dataclass

from edge_embed.errors import InputError
from edge_embed_conversion.distillation.schedule import share_of_rate

__all__ = ["PairRecipe"]


@dataclass(frozen=True)
class PairRecipe:
    """The hyperparameters of a run.

    The learning rate is warmed up, held, and decayed at the end, so that a run may be lengthened or
    shortened until its decay begins.
    """

    steps: int
    seed: int = 1
    learning_rate: float = 1.5e-4
    head_rate: float = 4.0
    """Learning rate of the head relative to the encoder's; the head starts with random weights."""
    warmup: int = 60
    decay: float = 0.35
    batch_tokens: int = 2048
    """Tokens of a batch; with fewer, the optimizer takes a larger share of the time."""
    batches_per_step: int = 2
    max_length: int = 128
    weight_decay: float = 0.01
    clip: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"steps is {self.steps}; it must be at least 1")
        if self.max_length < 8:
            raise InputError(f"max_length is {self.max_length}; it must be at least 8")

    def rate(self, step: int) -> float:
        """Return the factor on the learning rate at ``step`` (from 0), 0 to 1."""
        return share_of_rate(step, steps=self.steps, warm=self.warmup, decay=self.decay)
