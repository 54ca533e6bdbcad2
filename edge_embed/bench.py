"""How fast a model is on this machine: start, single texts by length, bulk, memory.

Single texts are timed on a model loaded for latency, after its warm-up; bulk on one loaded for
throughput. Rounds of both take turns with nothing else, so what else the machine does shows in the
spread.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_embed.config import Hint
from edge_embed.embedder import Embedder
from edge_embed.errors import InputError
from edge_embed.machine import describe_machine, memory_mb

__all__ = ["bench", "spread"]

PERCENTILES = (50, 90, 99, 99.9)
_LENGTHS = (8, 16, 32, 64, 128, 256, 512)
_LEAST_TEXTS = 50


def bench(
    load: Callable[[Hint], Embedder],
    texts: Sequence[str],
    *,
    rounds: int = 5,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure a model.

    Args:
        load: Loads it, for latency or for throughput.
        texts: Real texts, at their real lengths; repeats are left out.
        rounds: How often everything is repeated.
        report: Told what is done next.

    Returns:
        JSON values: seconds to load and to the first vector; milliseconds of single texts in all
        and by number of tokens; texts and tokens a second in bulk, as median, least and greatest
        round; MiB of memory; and the machine.

    Raises:
        InputError: there are fewer than fifty different texts.
    """
    texts = list(dict.fromkeys(texts))
    if len(texts) < _LEAST_TEXTS:
        raise InputError(f"{len(texts)} different texts are too few to time: give {_LEAST_TEXTS}")
    report("load")
    started = time.perf_counter()
    model = load("latency")
    loaded = time.perf_counter()
    model.encode(texts[0])
    first = time.perf_counter()
    result: dict[str, Any] = {
        "machine": describe_machine(),
        "model": model.config.folder.resolve().name,
        "variant": model.variant,
        "load_s": round(loaded - started, 3),
        "first_vector_s": round(first - loaded, 3),
        "memory_mib": {"after_load": memory_mb()},
        "texts": len(texts),
    }
    lengths = np.minimum(model.count_tokens(texts), model.max_seq_length)
    report("warm up")
    model.warm_up()
    report(f"single texts, {rounds} rounds")
    times = np.array([_singly(model, texts) for _ in range(rounds)]) * 1000
    result["single_ms"] = {"all": _percentiles(times)}
    for low, high in zip((0, *_LENGTHS), _LENGTHS, strict=False):
        chosen = (lengths > low) & (lengths <= high)
        if chosen.sum() >= _LEAST_TEXTS // 5:
            result["single_ms"][f"{low + 1}-{high} tokens"] = _percentiles(times[:, chosen])
    properties = model.engine.properties
    report(f"bulk, {rounds} rounds")
    model = load("throughput")
    model.encode(texts, truncation="ignore")
    seconds = [_in_bulk(model, texts) for _ in range(rounds)]
    result["bulk"] = {
        "texts_per_second": spread([len(texts) / value for value in seconds]),
        "tokens_per_second": spread([int(lengths.sum()) / value for value in seconds]),
    }
    result["memory_mib"]["after_all"] = memory_mb()
    result["engine"] = {"latency": properties, "throughput": model.engine.properties}
    return result


def _singly(model: Embedder, texts: Sequence[str]) -> list[float]:
    times = []
    for text in texts:
        started = time.perf_counter()
        model.encode(text, truncation="ignore")
        times.append(time.perf_counter() - started)
    return times


def _in_bulk(model: Embedder, texts: Sequence[str]) -> float:
    started = time.perf_counter()
    model.encode(texts, truncation="ignore")
    return time.perf_counter() - started


def _percentiles(times: Any) -> dict[str, float]:  # noqa: ANN401
    """Percentiles over all rounds of (rounds, texts), and the spread of the rounds' medians."""
    found = {f"p{p:g}": round(float(np.percentile(times, p)), 3) for p in PERCENTILES}
    medians = np.median(times, axis=1)
    return found | {
        "least_p50": round(float(medians.min()), 3),
        "greatest_p50": round(float(medians.max()), 3),
        "texts": times.shape[1],
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, least and greatest of some repeats, and their number."""
    return {
        "median": round(statistics.median(values), 6),
        "min": round(min(values), 6),
        "max": round(max(values), 6),
        "repeats": len(values),
    }
