"""Train a student that starts from a model's own layers, and keep its best step.

A step sums the gradients of several batches, each computed in its own thread. The loss of every
exit has two parts: the direction of the first teacher's vectors, and the weighted similarities of
all teachers within the batch. The learning rate is warmed up, held, and decayed at the end
(Hu et al. 2024, https://arxiv.org/abs/2404.06395).
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from edge_embed.errors import InputError
from edge_embed.files.atomic import atomic_file
from edge_embed_conversion.console import say
from edge_embed_conversion.distillation.checkpoints import load_checkpoint, save_checkpoint
from edge_embed_conversion.distillation.curve import Log
from edge_embed_conversion.distillation.encoder_student import EncoderStudent
from edge_embed_conversion.distillation.losses import direction_loss
from edge_embed_conversion.distillation.neighbours import Batch
from edge_embed_conversion.distillation.suite import DevSuite
from edge_embed_conversion.training_steps import optimizer_step, side_by_side

__all__ = ["RefinementRecipe", "refine"]

_BEST = "best.safetensors"


@dataclass(frozen=True, kw_only=True)
class RefinementRecipe:
    """The hyperparameters of a run; the defaults are those that measured best."""

    steps: int
    seed: int = 1
    learning_rate: float = 2e-4
    warmup_steps: int = 100
    decay: float = 0.25
    """Share of the run over which the rate falls to zero."""
    batch_tokens: int = 4096
    batches_per_step: int = 2
    direction_weight: float = 1.0
    similarity_weight: float = 30.0
    exit_weight: float = 0.15
    """Weight of an exit's loss; the whole model's is 1."""
    weight_decay: float = 0.01
    clip: float = 1.0
    measure_every: int = 250
    save_every: int = 100
    log_every: int = 50

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"steps is {self.steps}; it must be at least 1")

    def rate(self, step: int) -> float:
        """Return the factor on the learning rate at ``step`` (from 0), 0 to 1."""
        falling = (self.steps - step) / max(1.0, self.steps * self.decay)
        return min(1.0, (step + 1) / self.warmup_steps, falling)


@dataclass(frozen=True)
class _Task:
    """What the loss of every batch is computed with."""

    student: EncoderStudent
    parameters: list[torch.nn.Parameter]
    weights: dict[int, float]
    """Weight of the loss by number of layers; the whole model's is 1."""
    recipe: RefinementRecipe
    dtype: torch.dtype


def refine(
    student: EncoderStudent,
    batches: Iterator[Batch],
    *,
    exits: Sequence[int],
    recipe: RefinementRecipe,
    work: Path,
    dtype: torch.dtype = torch.bfloat16,
    suite: DevSuite | None = None,
) -> Log:
    """Train ``student`` in place, resuming from a checkpoint in ``work``; return the log.

    Args:
        student: The student to train.
        batches: Training batches, as many as are asked for.
        exits: Numbers of layers after which the student is trained to end early.
        recipe: The hyperparameters.
        work: Folder of the checkpoint and the log.
        dtype: Arithmetic of the layers; weights and losses are float32.
        suite: Development sets; the student ends with the weights of the step where their mean was
            highest. None ends with those of the last step.

    Raises:
        ModelFormatError: the checkpoint is damaged.
    """
    weights = {**dict.fromkeys(exits, recipe.exit_weight), len(student.layers): 1.0}
    task = _Task(student, list(student.parameters()), weights, recipe, dtype)
    optimizer = torch.optim.AdamW(
        [{"params": task.parameters, "peak": recipe.learning_rate}],
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    progress = load_checkpoint(work, student=student, optimizer=optimizer)
    if progress.step:
        say(f"train: resumed at step {progress.step}")
    log = Log(work / "log.csv", step=progress.step)
    best = max((float(row["sts"]) for row in log.rows if row["sts"]), default=float("-inf"))
    recent: list[list[float]] = []
    started = time.monotonic() - progress.seconds
    with side_by_side(recipe.batches_per_step) as compute:
        while progress.step < recipe.steps:
            several = islice(batches, recipe.batches_per_step)
            parts = compute(partial(_part, task), several)
            optimizer_step(
                optimizer,
                task.parameters,
                [part[0] for part in parts],
                rate=recipe.rate(progress.step),
                clip=recipe.clip,
            )
            recent += [part[1] for part in parts]
            progress.step += 1
            progress.tokens += sum(part[2] for part in parts)
            progress.seconds = time.monotonic() - started
            last = progress.step == recipe.steps
            if last or progress.step % recipe.log_every == 0:
                score = None
                if suite and (last or progress.step % recipe.measure_every == 0):
                    score = suite.mean(student, dtype)
                    if score > best:
                        best = score
                        with atomic_file(work / _BEST) as path:
                            save_file(student.state_dict(), path)
                direction, similarity = np.mean(recent, axis=0)
                recent.clear()
                log.add(
                    {
                        "step": progress.step,
                        "seconds": round(progress.seconds),
                        "tokens": progress.tokens,
                        "loss": recipe.direction_weight * direction
                        + recipe.similarity_weight * similarity,
                        "direction": direction,
                        "similarity": similarity,
                        "sts": score,
                    }
                )
            if last or progress.step % recipe.save_every == 0:
                save_checkpoint(work, progress=progress, student=student, optimizer=optimizer)
    if suite and (work / _BEST).is_file():
        say(f"train: the best step by the development sets, mean {best:.2f}, is kept")
        student.load_state_dict(load_file(work / _BEST))
    return log


_Part = tuple[tuple[Tensor, ...], list[float], int]
"""Gradients, losses (direction, similarity) of the whole model, and tokens of one batch."""


def _part(task: _Task, batch: Batch) -> _Part:
    recipe = task.recipe
    vectors = task.student(batch.ids, batch.mask, task.weights, task.dtype)
    wanted = batch.joined @ batch.joined.T
    apart = ~torch.eye(len(wanted), dtype=torch.bool)
    loss = torch.zeros(())
    losses: list[float] = []
    for layers, weight in task.weights.items():
        own = vectors[layers]
        direction = direction_loss(own, batch.first)
        similarity = (own @ own.T - wanted)[apart].pow(2).mean()
        loss = loss + weight * (
            recipe.direction_weight * direction + recipe.similarity_weight * similarity
        )
        losses = [direction.item(), similarity.item()]
    gradients = torch.autograd.grad(loss / recipe.batches_per_step, task.parameters)
    return gradients, losses, batch.ids.numel()
