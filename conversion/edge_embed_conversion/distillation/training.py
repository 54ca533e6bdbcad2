"""The training loop of :func:`distill`: steps of several batches, with checkpoints."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from edge_embed.errors import InputError
from edge_embed_conversion.console import say
from edge_embed_conversion.distillation.batches import TokenStore, plan_batches
from edge_embed_conversion.distillation.checkpoints import (
    Progress,
    load_checkpoint,
    save_checkpoint,
)
from edge_embed_conversion.distillation.curve import Log
from edge_embed_conversion.distillation.development import DevelopmentSet
from edge_embed_conversion.distillation.losses import (
    direction_loss,
    similarity_loss,
    word_loss,
    word_means,
)
from edge_embed_conversion.distillation.schedule import Recipe
from edge_embed_conversion.distillation.student import Student
from edge_embed_conversion.distillation.targets import TargetCache
from edge_embed_conversion.training_steps import SideBySide, optimizer_step, side_by_side

__all__ = ["Run", "train"]

# Steps whose teacher vectors are computed at once.
_CHUNK = 64


@dataclass(frozen=True)
class Run:
    """Where a run computes, and every how many steps it logs, measures and saves."""

    work_dir: Path
    device: torch.device
    dtype: torch.dtype
    log_every: int = 25
    measure_every: int = 200
    save_every: int = 50


@dataclass(frozen=True)
class _Part:
    """One batch's share of a step."""

    gradients: tuple[Tensor, ...]
    losses: tuple[float, float, float, float]
    tokens: int


def train(
    student: Student,
    *,
    store: TokenStore,
    targets: TargetCache,
    recipe: Recipe,
    run: Run,
    development: DevelopmentSet | None = None,
) -> Log:
    """Train ``student`` in place, resuming from a checkpoint in ``run.work_dir``; return the log.

    Args:
        student: The student to train.
        store: The tokenized corpus.
        targets: The teacher's vectors of the corpus.
        recipe: The hyperparameters.
        run: Where the run computes, and how often it logs, measures and saves.
        development: A set that is measured for the log.

    Raises:
        InputError: no two texts of the corpus have the same number of tokens.
        ModelFormatError: the checkpoint is damaged.
    """
    student.to(run.device)
    optimizer = _optimizer(student, recipe, run)
    progress = load_checkpoint(run.work_dir, student=student, optimizer=optimizer)
    if progress.step:
        say(f"train: resumed at step {progress.step}")
    log = Log(run.work_dir / "log.csv", step=progress.step)
    plan = _plan(store, recipe)
    parameters = list(student.parameters())
    layers = student.shape.layers
    recent: list[npt.NDArray[np.float64]] = []
    started = time.monotonic() - progress.seconds
    with _workers(run, recipe.batches_per_step) as compute:
        chunk = -1
        while progress.step < recipe.steps:
            step = progress.step
            if step // _CHUNK != chunk:
                chunk = step // _CHUNK
                part = plan[chunk * _CHUNK : (chunk + 1) * _CHUNK]
                targets.fill(np.concatenate([rows for batches in part for rows in batches]))
            passes = recipe.passes(step, layers=layers)
            batches = [
                _Batch.of(rows, store=store, targets=targets, device=run.device)
                for rows in plan[step]
            ]
            parts = compute(
                _part,
                [(student, batch, passes, recipe, run.dtype, parameters) for batch in batches],
            )
            optimizer_step(
                optimizer,
                parameters,
                [part.gradients for part in parts],
                rate=recipe.rate(step),
                clip=recipe.clip,
            )
            recent.append(np.mean([part.losses for part in parts], axis=0))
            progress.step += 1
            progress.tokens += sum(part.tokens for part in parts)
            progress.seconds = time.monotonic() - started
            last = progress.step == recipe.steps
            if last or progress.step % run.log_every == 0:
                score = None
                if development and (last or progress.step % run.measure_every == 0):
                    score = development.spearman(student, passes=passes, dtype=run.dtype)
                _report(log, progress, passes, recent, score)
                recent.clear()
            if last or progress.step % run.save_every == 0:
                save_checkpoint(
                    run.work_dir, progress=progress, student=student, optimizer=optimizer
                )
    return log


def _report(
    log: Log,
    progress: Progress,
    passes: int,
    recent: list[npt.NDArray[np.float64]],
    score: float | None,
) -> None:
    loss, direction, similarity, word = (float(value) for value in np.mean(recent, axis=0))
    log.add(
        {
            "step": progress.step,
            "seconds": round(progress.seconds),
            "tokens": progress.tokens,
            "passes": passes,
            "loss": loss,
            "direction": direction,
            "similarity": similarity,
            "word": word,
            "sts": score,
        }
    )


def _optimizer(student: Student, recipe: Recipe, run: Run) -> torch.optim.Optimizer:
    tables: list[torch.nn.Parameter] = []
    rest: list[torch.nn.Parameter] = []
    for name, parameter in student.named_parameters():
        (tables if "embeddings." in name else rest).append(parameter)
    rate = recipe.learning_rate
    return torch.optim.AdamW(
        [
            {"params": rest, "peak": rate, "lr": rate},
            {"params": tables, "peak": rate * recipe.embedding_rate, "lr": rate},
        ],
        betas=recipe.betas,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def _plan(store: TokenStore, recipe: Recipe) -> list[list[npt.NDArray[np.int64]]]:
    """Return, for each step, the text indices of each of its batches."""
    batches: list[npt.NDArray[np.int64]] = []
    needed = recipe.steps * recipe.batches_per_step
    epoch = 0
    while len(batches) < needed:
        of_epoch = plan_batches(
            store.lengths(),
            token_budget=recipe.batch_tokens,
            max_length=store.max_length,
            epoch=epoch,
            seed=recipe.seed,
        )
        if not of_epoch:
            raise InputError("no two texts of the corpus have equally many tokens; give more texts")
        batches += of_epoch
        epoch += 1
    width = recipe.batches_per_step
    return [batches[start : start + width] for start in range(0, needed, width)]


@dataclass(frozen=True)
class _Batch:
    """A batch of texts with the same number of tokens, and the teacher's vectors of them."""

    ids: Tensor
    """int64 (texts, length)."""
    sentences: Tensor
    """float32 (texts, teacher dim)."""
    words: Tensor
    """float32 (words, teacher dim)."""
    word_of: Tensor
    """int64 (texts * length,): each token's row of ``words``, or ``len(words)`` for none."""

    @classmethod
    def of(
        cls,
        rows: npt.NDArray[np.int64],
        *,
        store: TokenStore,
        targets: TargetCache,
        device: torch.device,
    ) -> "_Batch":
        counts = targets.word_counts(rows)
        words = targets.words(rows)
        word_of = np.stack([store.word_numbers(row) for row in rows]).astype(np.int64)
        word_of += np.concatenate([[0], np.cumsum(counts)[:-1]])[:, None]
        word_of[~store.aligned[rows]] = len(words)
        ids = np.stack([store.text(row) for row in rows]).astype(np.int64)
        tensors = (ids, targets.sentences(rows), words, word_of.reshape(-1))
        return cls(*(torch.from_numpy(array).to(device) for array in tensors))


_Job = tuple[Student, _Batch, int, Recipe, torch.dtype, list[torch.nn.Parameter]]


def _part(job: _Job) -> _Part:
    """Return the gradients of one batch's loss, divided by the number of batches."""
    student, batch, passes, recipe, dtype, parameters = job
    states = student(batch.ids, passes=passes, dtype=dtype).float()
    means = states.mean(dim=1)
    direction = direction_loss(student.projection(means), batch.sentences)
    similarity = similarity_loss(means, batch.sentences)
    loss = direction + recipe.similarity_weight * similarity
    word = torch.zeros(())
    count = len(batch.words)
    if count and recipe.word_weight:
        covered = torch.bincount(batch.word_of, minlength=count + 1)[:count] > 0
        means = word_means(states.flatten(0, 1), batch.word_of, count)
        if bool(covered.any()):
            word = word_loss(student.projection(means[covered]), batch.words[covered])
            loss = loss + recipe.word_weight * word
    gradients = torch.autograd.grad(loss / recipe.batches_per_step, parameters)
    losses = (loss.item(), direction.item(), similarity.item(), word.item())
    return _Part(gradients, losses, batch.ids.numel())


@contextmanager
def _workers(run: Run, count: int) -> Iterator[SideBySide]:
    """Compute the batches of a step in parallel threads on a CPU, and in sequence on a GPU."""
    if run.device.type == "cpu":
        with side_by_side(count) as compute:
            yield compute
    else:
        yield lambda function, items: [function(item) for item in items]
