"""One step of training on a CPU: several batches in parallel threads, whose gradients are summed.

Each batch runs in one thread of its own instead of sharing each operator among threads, which would
wait for each other at every operator. Gradients are summed in a fixed order, so that results do not
depend on which thread ends first.
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
    """Calls a function for several items in parallel threads; results keep the items' order."""

    def __call__(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> list[_Result]:
        """Return the result for each item."""


@contextmanager
def side_by_side(count: int) -> Iterator[SideBySide]:
    """Provide ``count`` threads, each with an equal share of torch's own threads."""
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
        optimizer: Each of its parameter groups has its highest learning rate as ``peak``.
        parameters: All parameters of the optimizer.
        gradients: The gradients of each batch, in the order of ``parameters``.
        rate: The factor on each group's ``peak``, 0 to 1.
        clip: The largest norm of the gradient; longer ones are scaled down to it.
    """
    for index, parameter in enumerate(parameters):
        gradient = gradients[0][index]
        for other in gradients[1:]:
            gradient = gradient + other[index]  # not in place: it may be an expanded view
        parameter.grad = gradient
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * rate
    torch.nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
