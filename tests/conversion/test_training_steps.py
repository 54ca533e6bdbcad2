"""One step of training: gradients of several batches, and the course of the learning rate."""

from pathlib import Path

import pytest
import torch

from edge_embed_conversion.distillation.checkpoints import (
    Progress,
    load_checkpoint,
    save_checkpoint,
)
from edge_embed_conversion.distillation.schedule import share_of_rate
from edge_embed_conversion.training_steps import optimizer_step, side_by_side


def optimizer_of(model: torch.nn.Module, **group: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": list(model.parameters()), **group}], lr=1.0)


def test_gradients_are_summed_clipped_and_applied_at_the_rate() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 1.0)
    optimizer = optimizer_of(model, peak=0.5)
    gradients = [(torch.full((1, 1), value),) for value in (1.0, 3.0)]
    parameters = list(model.parameters())
    optimizer_step(optimizer, parameters, gradients, rate=0.5, clip=100.0)
    assert model.weight.item() == pytest.approx(1 - 0.5 * 0.5 * 4)
    assert model.weight.grad is None
    assert gradients[0][0].item() == 1.0  # left as it was: it may be a view of one number
    optimizer_step(optimizer, parameters, gradients, rate=1.0, clip=1.0)
    assert model.weight.item() == pytest.approx(0.0 - 0.5, abs=1e-5)


def test_the_rate_is_warmed_up_kept_and_decayed() -> None:
    rates = [share_of_rate(step, steps=100, warm=10, decay=0.2) for step in range(100)]
    assert rates[0] == 0.1
    assert rates[9:80] == [1.0] * 71
    assert rates[80:] == sorted(rates[80:], reverse=True)
    assert 0 < rates[-1] < 0.1


def test_results_come_in_the_order_of_the_batches() -> None:
    before = torch.get_num_threads()
    with side_by_side(2) as compute:
        assert compute(lambda number: number * number, range(5)) == [0, 1, 4, 9, 16]
    assert torch.get_num_threads() == before


def test_a_checkpoint_without_highest_rates_takes_the_run_s(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 1)
    progress = Progress(step=3)
    save_checkpoint(tmp_path, progress=progress, student=model, optimizer=optimizer_of(model))
    optimizer = optimizer_of(model, peak=0.25)
    assert load_checkpoint(tmp_path, student=model, optimizer=optimizer).step == 3
    assert [group["peak"] for group in optimizer.param_groups] == [0.25]
