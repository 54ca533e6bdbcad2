"""Warm-up: the engine compiles the model for each input shape when it first sees it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edge_embed.runtime.batch import Batch

if TYPE_CHECKING:
    from edge_embed.runtime.dynamic_batcher import BatchEngine

__all__ = ["run_every_shape"]


class _Planner(Protocol):
    def warm_up(self) -> Iterator[Batch]:
        """Yield a batch of each shape that a call may need."""


def run_every_shape(engine: "BatchEngine", planner: _Planner, *, dim: int) -> None:
    """Run every input shape once, so that no later call waits for a compilation.

    Args:
        engine: The engine to warm up.
        planner: The planner of its batches.
        dim: Width of the engine's output.
    """
    for batch in planner.warm_up():
        out = np.empty((len(batch.texts), dim), np.float32)
        engine.run([batch] * engine.requests, out)  # each request has its own cache
