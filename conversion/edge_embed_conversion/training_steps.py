"""One step of training on a CPU: several batches side by side, whose gradients are summed.

Each batch has a thread of its own and the sum a fixed order: threads that share one matrix product
wait for each other at every operator, which on a busy machine costs more than it gains.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

import torch
from torch import Tensor

__all__ = ["SideBySide", "optimizer_step", "side_by_side"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class SideBySide(Protocol):
    """Computes a function of several items at the same time; results come in their order."""

    def __call__(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> list[_Result]:
        """Return the result for each item."""


@contextmanager
def side_by_side(count: int) -> Iterator[SideBySide]:
    """Give each of ``count`` batches a thread and its share of the processors."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // count))
    try:
        with ThreadPoolExecutor(count) as pool:
            yield lambda function, items: list(pool.map(function, items))
    finally:
        torch.set_num_threads(before)


def optimizer_step(
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[torch.nn.Parameter],
    gradients: Sequence[tuple[Tensor, ...]],
    *,
    rate: float,
    clip: float,
) -> None:
    """Change parameters by the summed gradients of a step's batches.

    Args:
        optimizer: Its groups have their highest learning rate as ``peak``.
        parameters: All that it changes.
        gradients: Of each batch, in the order of ``parameters``.
        rate: The share of the highest learning rates.
        clip: Longest that the gradient may be.
    """
    for index, parameter in enumerate(parameters):
        gradient = gradients[0][index]
        for other in gradients[1:]:
            gradient = gradient + other[index]  # which may be a view of one number
        parameter.grad = gradient
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * rate
    torch.nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
