"""How much and how fast a pair model is trained."""

from dataclasses import dataclass

from edge_embed.errors import InputError
from edge_embed_conversion.distillation.schedule import share_of_rate

__all__ = ["PairRecipe"]


@dataclass(frozen=True)
class PairRecipe:
    """The choices of a run; the rate is warmed up, kept, and decayed at the end.

    So a run may be lengthened or shortened until its decay begins.
    """

    steps: int
    seed: int = 1
    learning_rate: float = 1.5e-4
    head_rate: float = 4.0
    """The head's rate relative to the encoder's: it starts from noise."""
    warmup: int = 60
    decay: float = 0.35
    batch_tokens: int = 2048
    """Of each batch: fewer leave more of the time to the optimizer than to the passes."""
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
        """Return the share of the learning rate at ``step`` (from 0)."""
        return share_of_rate(step, steps=self.steps, warm=self.warmup, decay=self.decay)
