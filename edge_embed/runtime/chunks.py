"""Run a call's items in chunks: the next chunk is tokenized while earlier batches are computed."""

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

# Items tokenized at a time: enough to fill batches with texts of equal length, few enough that the
# first batch starts soon and memory is bounded.
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
        engine: Runs the batches.
        plan: Tokenizes the items of a slice and puts them into batches; the indices in its batches
            count from the start of the slice.
        out: Float32 (items, dim), written in place.
        batch_size: Most items of a batch; None fills batches by tokens.
        progress: The name of an item on the progress bar; None shows no bar.
    """
    total = len(out)
    size = min(batch_size or _CHUNK, _CHUNK)

    def batches() -> Iterator[Batch]:
        for start in range(0, total, size):
            for batch in plan(slice(start, min(start + size, total))):
                yield replace(batch, texts=batch.texts + start)
                if bar is not None:
                    bar.update(len(batch.texts))

    # Even a bar that is not shown takes half as long as the tokenization of a query.
    with _bar(total, progress) if progress else nullcontext() as bar:
        engine.run(batches(), out)


def _bar(total: int, unit: str) -> "tqdm[NoReturn]":
    from tqdm import tqdm  # here, as few calls show a bar

    absent = sys.stderr is None  # as in a daemon or a windowed program
    return tqdm(total=total, unit=unit, leave=False, file=sys.stderr, disable=absent)
