"""How many batches are computed side by side, where nobody says: one rule for all calls.

The threads of a box are shared out among streams, each of which computes a batch. One stream gives
all threads to a batch: the fastest for a query, and the least memory. Several wait less for each
other where there are many threads.
"""

from dataclasses import dataclass

from edge_embed.hardware.processors import usable_processors
from edge_embed.runtime.config import Hint, RuntimeConfig
from edge_embed.runtime.tuning import tuned_streams

__all__ = ["Streams", "choose_streams", "default_streams"]

# On two threads a query takes three quarters of the time in one stream. Bulk takes as long with
# edge-embed-albert, and 1.15 times as long with edge-embed-small and AMX, so commands that read
# files ask for throughput. For more threads it is a guess: few rows are not worth more of them, and
# each step of a batch waits for the last. `edge-embed bench tune` measures it.
_THREADS_A_STREAM = 4
_MEASURED_THREADS = 2


@dataclass(frozen=True)
class Streams:
    """How many, and why."""

    count: int | None
    """None lets the engine follow ``hint``."""
    hint: Hint
    why: str
    """What decided, for people."""


def choose_streams(runtime: RuntimeConfig) -> Streams:
    """Return what a model is run with: as asked for, as measured on this box, or by rule."""
    if runtime.streams is not None:
        return Streams(runtime.streams, runtime.hint or "throughput", "as asked for")
    if runtime.hint is not None:
        return Streams(None, runtime.hint, f"by the hint {runtime.hint}")
    threads = runtime.threads or usable_processors().count
    measured = tuned_streams(runtime.cache_dir, threads)
    if measured is not None:
        return _of(measured, "as edge-embed bench tune measured on this machine")
    return _of(
        default_streams(threads),
        f"by rule for {threads} thread{'s' if threads > 1 else ''}"
        + ("" if threads <= _MEASURED_THREADS else ", a guess: edge-embed bench tune measures it"),
    )


def default_streams(threads: int) -> int:
    """Return how many streams so many threads are shared out among, if nothing was measured."""
    return -(-threads // _THREADS_A_STREAM)


def _of(count: int, why: str) -> Streams:
    # One stream is what the engine makes of the hint for latency, so both share a cache entry.
    return Streams(None, "latency", why) if count == 1 else Streams(count, "throughput", why)
