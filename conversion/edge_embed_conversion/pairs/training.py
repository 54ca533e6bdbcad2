"""The training loop of a pair model: soft labels, checkpoints, and the best step is kept."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from edge_embed.errors import InputError
from edge_embed.evaluation.metrics import average_precision
from edge_embed.files.atomic import atomic_file
from edge_embed_conversion.console import say
from edge_embed_conversion.distillation.batches import plan_batches
from edge_embed_conversion.distillation.checkpoints import (
    Progress,
    load_checkpoint,
    save_checkpoint,
)
from edge_embed_conversion.distillation.curve import Log
from edge_embed_conversion.pairs.batches import PairStore
from edge_embed_conversion.pairs.network import PairNetwork
from edge_embed_conversion.pairs.recipe import PairRecipe
from edge_embed_conversion.training_steps import optimizer_step, side_by_side

__all__ = ["DevelopmentPairs", "PairRun", "predict_logits", "train_network"]

_BEST = "best.pt"
_EVALUATED_TOKENS = 4096


@dataclass(frozen=True)
class DevelopmentPairs:
    """A labelled development set, measured during training."""

    name: str
    store: PairStore
    labels: npt.NDArray[np.float32]


@dataclass(frozen=True)
class PairRun:
    """The folder and arithmetic of a run, and every how many steps it logs, measures and saves."""

    work_dir: Path
    dtype: torch.dtype
    log_every: int = 25
    measure_every: int = 400
    save_every: int = 50


def predict_logits(
    network: PairNetwork, store: PairStore, dtype: torch.dtype
) -> npt.NDArray[np.float32]:
    """Return the logit of every pair, float32 (pairs,)."""
    logits = np.zeros(len(store), np.float32)
    lengths = store.lengths()
    with torch.inference_mode():
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            size = max(1, _EVALUATED_TOKENS // int(length))
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                ids, types = store.batch(part, np.zeros(len(part), np.bool_))
                logits[part] = network(ids, types, dtype=dtype).numpy()
    return logits


def train_network(
    network: PairNetwork,
    *,
    store: PairStore,
    labels: npt.NDArray[np.float32],
    recipe: PairRecipe,
    run: PairRun,
    development: list[DevelopmentPairs],
) -> Log:
    """Train ``network`` in place, resuming from a checkpoint in ``run.work_dir``; return the log.

    Args:
        network: The network to train.
        store: The tokenized pairs.
        labels: Float32 (pairs,), 0 to 1.
        recipe: The hyperparameters.
        run: The folder of the run, and how often it logs, measures and saves.
        development: Sets to measure; the network ends with the weights of the step whose mean
            average precision over them was highest. Without any, with those of the last step.

    Raises:
        InputError: no two pairs have the same number of tokens.
        ModelFormatError: the checkpoint is damaged.
    """
    optimizer = _optimizer(network, recipe)
    progress = load_checkpoint(run.work_dir, student=network, optimizer=optimizer)
    if progress.step:
        say(f"train: resumed at step {progress.step}")
    log = Log(
        run.work_dir / "log.csv",
        step=progress.step,
        columns=("step", "seconds", "tokens", "loss", "mean", *(s.name for s in development)),
    )
    plan = _plan(store, recipe)
    parameters = list(network.parameters())
    recent: list[float] = []
    started = time.monotonic() - progress.seconds
    with side_by_side(recipe.batches_per_step) as compute:
        while progress.step < recipe.steps:
            generator = np.random.default_rng([recipe.seed, progress.step])
            jobs = [
                (network, *_batch(rows, store, labels, generator), recipe, run.dtype)
                for rows in plan[progress.step]
            ]
            parts = compute(_part, jobs)
            optimizer_step(
                optimizer,
                parameters,
                [part[0] for part in parts],
                rate=recipe.rate(progress.step),
                clip=recipe.clip,
            )
            recent.append(float(np.mean([part[1] for part in parts])))
            progress.step += 1
            progress.tokens += sum(part[2] for part in parts)
            progress.seconds = time.monotonic() - started
            last = progress.step == recipe.steps
            if last or progress.step % run.log_every == 0:
                scores: dict[str, float] = {}
                if development and (last or progress.step % run.measure_every == 0):
                    scores = _measure(network, development, log, run)
                _report(log, progress, recent, scores)
                recent.clear()
            if last or progress.step % run.save_every == 0:
                save_checkpoint(
                    run.work_dir, progress=progress, student=network, optimizer=optimizer
                )
    best = run.work_dir / _BEST
    if best.is_file():
        network.load_state_dict(torch.load(best, map_location="cpu", weights_only=True))
    return log


def _optimizer(network: PairNetwork, recipe: PairRecipe) -> torch.optim.Optimizer:
    head = [p for name, p in network.named_parameters() if _is_head(name)]
    rest = [p for name, p in network.named_parameters() if not _is_head(name)]
    rate = recipe.learning_rate
    return torch.optim.AdamW(
        [
            {"params": rest, "peak": rate, "lr": rate},
            {"params": head, "peak": rate * recipe.head_rate, "lr": rate},
        ],
        betas=(0.9, 0.98),
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def _is_head(name: str) -> bool:
    return "classifier" in name or "pooler" in name


def _plan(store: PairStore, recipe: PairRecipe) -> list[list[npt.NDArray[np.int64]]]:
    """Return, for each step, the indices of the pairs of each of its batches."""
    width = recipe.batches_per_step
    batches: list[npt.NDArray[np.int64]] = []
    epoch = 0
    while len(batches) < recipe.steps * width:
        of_epoch = plan_batches(
            store.lengths(),
            token_budget=recipe.batch_tokens,
            max_length=recipe.max_length,
            epoch=epoch,
            seed=recipe.seed,
        )
        if not of_epoch:
            raise InputError("no two pairs have equally many tokens; give more pairs")
        batches += of_epoch
        epoch += 1
    return [batches[start : start + width] for start in range(0, recipe.steps * width, width)]


def _batch(
    rows: npt.NDArray[np.int64],
    store: PairStore,
    labels: npt.NDArray[np.float32],
    generator: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    # Being a paraphrase is symmetric: train on both orders.
    swapped = generator.random(len(rows)) < 0.5
    return (*store.batch(rows, swapped), torch.from_numpy(labels[rows]))


_Job = tuple[PairNetwork, Tensor, Tensor, Tensor, PairRecipe, torch.dtype]


def _part(job: _Job) -> tuple[tuple[Tensor, ...], float, int]:
    """Return gradients (divided by the batches of a step), loss and tokens of one batch."""
    network, ids, types, wanted, recipe, dtype = job
    logits = network(ids, types, dtype=dtype)
    loss = functional.binary_cross_entropy_with_logits(logits, wanted)
    gradients = torch.autograd.grad(loss / recipe.batches_per_step, list(network.parameters()))
    return gradients, loss.item(), ids.numel()


def _measure(
    network: PairNetwork, development: list[DevelopmentPairs], log: Log, run: PairRun
) -> dict[str, float]:
    """Return each set's average precision x 100 and their mean; save the network if it is best."""
    scores = {}
    for pairs in development:
        logits = predict_logits(network, pairs.store, run.dtype)
        weights = np.ones(len(logits))
        scores[pairs.name] = 100 * average_precision(pairs.labels > 0.5, logits.astype(np.float64))(
            weights
        )
    scores["mean"] = float(np.mean(list(scores.values())))
    before = [float(row["mean"]) for row in log.rows if row.get("mean")]
    if scores["mean"] >= max(before, default=0.0):
        with atomic_file(run.work_dir / _BEST) as path:
            torch.save(network.state_dict(), path)
    return scores


def _report(log: Log, progress: Progress, recent: list[float], scores: dict[str, float]) -> None:
    log.add(
        {
            "step": progress.step,
            "seconds": round(progress.seconds),
            "tokens": progress.tokens,
            "loss": float(np.mean(recent)),
            **scores,
        }
    )
