"""A call's items chunk by chunk: the next is tokenized while earlier batches are computed."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from edge_embed.runtime.batch import Batch

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["run_in_chunks"]

# Items tokenized at a time: enough to fill batches of equal length, few enough that the first
# batch starts at once and memory stays flat.
_CHUNK = 2048


class _Engine(Protocol):
    def run(self, batches: Iterable[Batch], out: npt.NDArray[np.float32]) -> None:
        """Compute batches, writing each item's vector to its row of ``out``."""


def run_in_chunks(
    engine: _Engine,
    plan: Callable[[slice], Iterable[Batch]],
    out: npt.NDArray[np.float32],
    *,
    batch_size: int | None = None,
    progress: str | None = None,
) -> None:
    """Compute all items of a call.

    Args:
        engine: What computes.
        plan: Tokenizes the items of a slice and puts them into batches, numbered within it.
        out: Float32 (items, dim), written in place.
        batch_size: Most items computed together; None fills batches by tokens.
        progress: What an item is called on the progress bar; None shows none.
    """
    total = len(out)
    size = min(batch_size or _CHUNK, _CHUNK)

    def batches() -> Iterator[Batch]:
        for start in range(0, total, size):
            for batch in plan(slice(start, min(start + size, total))):
                yield replace(batch, texts=batch.texts + start)
                if bar is not None:
                    bar.update(len(batch.texts))

    # A bar that is not shown would still take as long as half a tokenization of a query.
    with _bar(total, progress) if progress else nullcontext() as bar:
        engine.run(batches(), out)


def _bar(total: int, unit: str) -> "tqdm[NoReturn]":
    from tqdm import tqdm  # here, as few calls show a bar

    absent = sys.stderr is None  # a daemon or a windowed program
    return tqdm(total=total, unit=unit, leave=False, file=sys.stderr, disable=absent)
