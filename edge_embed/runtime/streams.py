"""How many streams a model has: the number of batches that are computed in parallel.

The threads are divided among the streams. With one stream, all threads compute one batch: that is
fastest for a single query and takes the least memory. With many threads, several streams have more
throughput, as threads of one batch wait for each other.
"""

from dataclasses import dataclass

from edge_embed.errors import InputError
from edge_embed.hardware.machine import several_streams_are_right
from edge_embed.hardware.processors import usable_processors
from edge_embed.runtime.config import Hint, RuntimeConfig
from edge_embed.runtime.tuning import tuned_streams

__all__ = ["Streams", "choose_streams", "default_streams"]

# On two threads, one stream takes three quarters of the time of two for a single query; for many
# texts it takes as long with edge-embed-albert, and 1.15 times as long with edge-embed-small and
# AMX, so commands that read files ask for throughput. For more threads this number is a guess;
# `edge-embed bench tune` measures it.
_THREADS_A_STREAM = 4
_MEASURED_THREADS = 2


@dataclass(frozen=True)
class Streams:
    """The chosen number of streams, and the reason."""

    count: int | None
    """None lets OpenVINO choose by ``hint``."""
    hint: Hint
    why: str
    """The reason, as text for a user."""


def choose_streams(runtime: RuntimeConfig) -> Streams:
    """Choose the streams: as asked for, else as measured on this machine, else by a rule.

    Raises:
        InputError: several are asked for, and this processor would compute wrong vectors.
    """
    if not several_streams_are_right():
        if runtime.streams is not None and runtime.streams > 1:
            raise InputError(
                f"{runtime.streams} streams on a processor without AVX2: the engine would give "
                "wrong vectors; take 1, or leave out the number"
            )
        return Streams(1, runtime.hint or "latency", "one, as this processor has no AVX2")
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
    """Return the number of streams by the rule: one for each four threads, rounded up."""
    return -(-threads // _THREADS_A_STREAM)


def _of(count: int, why: str) -> Streams:
    # With the latency hint OpenVINO makes one stream, so both share an entry of the compile cache.
    return Streams(None, "latency", why) if count == 1 else Streams(count, "throughput", why)
