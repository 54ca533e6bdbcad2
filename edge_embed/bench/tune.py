"""Measure the best number of streams on this machine, and store it for later loads.

All candidates are loaded and timed in turns, so that other work on the machine affects them
equally.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge_embed.bench.timing import different_texts, in_calls, singly, spread
from edge_embed.embedder import Embedder
from edge_embed.files.atomic import atomic_file
from edge_embed.hardware.machine import describe_machine, several_streams_are_right
from edge_embed.runtime.tuning import TUNING_FILE, TUNING_SCHEMA, read_tuning, tuning_key

__all__ = ["choose", "keep_choice", "measure_streams"]

# Queries that are timed one at a time in each round.
_SINGLE = 200
# Fewer streams answer a query sooner and take less memory, so they are chosen if their throughput
# is at least this share of the highest.
_NEARLY = 0.98


def measure_streams(
    load: Callable[[int], Embedder], threads: int, texts: Sequence[str], *, rounds: int = 5
) -> dict[str, dict[str, Any]]:
    """Time many texts and single texts with 1, 2, 4, … streams, up to one a thread.

    Args:
        load: Loads the model with a number of streams.
        threads: Number of threads of the model.
        texts: Real texts; duplicates are removed.
        rounds: How often each is timed.

    Returns:
        By number of streams: ``texts_per_second`` and ``single_ms``, each as
        :func:`~edge_embed.bench.timing.spread`.

    Raises:
        InputError: there are fewer than fifty distinct texts.
    """
    most = threads if several_streams_are_right() else 1
    candidates = sorted({1 << power for power in range(most.bit_length())} | {most})
    models = {count: load(count) for count in candidates}
    texts, _ = different_texts(models[1], texts)
    some = texts[:_SINGLE]
    for model in models.values():
        model.warm_up()
    speeds: dict[int, list[float]] = {count: [] for count in models}
    waits: dict[int, list[float]] = {count: [] for count in models}
    for _ in range(rounds):
        for count, model in models.items():
            speeds[count].append(len(texts) / in_calls(model, texts, len(texts)))
            waits[count].append(1000 * sorted(singly(model, some))[len(some) // 2])
    return {
        str(count): {"texts_per_second": spread(speeds[count]), "single_ms": spread(waits[count])}
        for count in models
    }


def choose(measured: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the fewest streams whose throughput is within 2 % of the highest."""
    bulk = {int(count): found["texts_per_second"]["median"] for count, found in measured.items()}
    return min(count for count, speed in bulk.items() if speed >= _NEARLY * max(bulk.values()))


def keep_choice(
    cache: Path, threads: int, streams: int, *, model: str, measured: Mapping[str, Any]
) -> Path:
    """Store a choice with its measurements; those for other threads and processors are kept.

    Args:
        cache: The folder of compiled models, where loading a model looks for it.
        threads: The number of threads that it is for.
        streams: The chosen number of streams.
        model: The name and variant of the model that was timed.
        measured: The result of :func:`measure_streams`.

    Returns:
        The file.

    Raises:
        OutputError: it cannot be written.
    """
    entry = {
        "streams": streams,
        "model": model,
        "measured": dict(measured),
        "machine": describe_machine(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = cache / TUNING_FILE
    machines = read_tuning(file) | {tuning_key(threads): entry}
    with atomic_file(file) as part:
        text = json.dumps({"schema": TUNING_SCHEMA, "machines": machines}, indent=2)
        part.write_text(text + "\n", encoding="utf-8")
    return file
