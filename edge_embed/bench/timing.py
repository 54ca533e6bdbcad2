"""Measure the speed of a model on this machine: single texts by length, and many texts.

Single texts are timed after the model's warm-up. The spread over rounds shows the influence of
other work on the machine.
"""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_embed.embedder import Embedder
from edge_embed.errors import InputError

__all__ = ["different_texts", "in_calls", "latency", "singly", "spread", "throughput"]

PERCENTILES = (50, 90, 99, 99.9)
_LENGTHS = (8, 16, 32, 64, 128, 256, 512)
_MIN_TEXTS = 50
# Numbers of texts in a call, besides all in one, and how many texts are embedded in such calls.
_CALLS = (1, 8, 32, 128, 512)
_IN_FEW = 1024


def latency(model: Embedder, texts: Sequence[str], *, rounds: int = 5) -> dict[str, Any]:
    """Time texts one at a time.

    Args:
        model: The model; it is warmed up first.
        texts: Real texts; duplicates are removed.
        rounds: How often all texts are timed.

    Returns:
        Milliseconds (``p50`` to ``p99.9``, spread of the rounds' medians, number of texts) of all
        texts and by number of tokens.

    Raises:
        InputError: there are fewer than fifty distinct texts.
    """
    texts, lengths = different_texts(model, texts)
    model.warm_up()
    times = np.array([singly(model, texts) for _ in range(rounds)]) * 1000
    found = {"all": _percentiles(times)}
    for low, high in zip((0, *_LENGTHS), _LENGTHS, strict=False):
        chosen = (lengths > low) & (lengths <= high)
        if chosen.sum() >= _MIN_TEXTS // 5:
            found[f"{low + 1}-{high} tokens"] = _percentiles(times[:, chosen])
    return found


def throughput(model: Embedder, texts: Sequence[str], *, rounds: int = 5) -> dict[str, Any]:
    """Time all texts in one call, and some texts in calls of a few.

    Args:
        model: The model, loaded for throughput.
        texts: Real texts; duplicates are removed.
        rounds: How often the calls are timed, after one that is not.

    Returns:
        Texts and tokens a second: median, minimum and maximum of the rounds; ``by_call`` has texts
        a second by the number of texts in a call.

    Raises:
        InputError: there are fewer than fifty distinct texts.
    """
    texts, lengths = different_texts(model, texts)
    sizes = [size for size in _CALLS if size < len(texts)]
    for size in (len(texts), *sizes):
        in_calls(model, texts[: 4 * size], size)
    some = texts[:_IN_FEW]
    seconds, few = [], []
    for _ in range(rounds):
        seconds.append(in_calls(model, texts, len(texts)))
        few.append({size: len(some) / in_calls(model, some, size) for size in sizes})
    return {
        "texts_per_second": spread([len(texts) / value for value in seconds]),
        "tokens_per_second": spread([int(lengths.sum()) / value for value in seconds]),
        "by_call": {str(size): spread([speed[size] for speed in few]) for size in sizes},
    }


def different_texts(model: Embedder, texts: Sequence[str]) -> tuple[list[str], Any]:
    """Return the distinct texts and their numbers of tokens, int64 (n,).

    Raises:
        InputError: there are fewer than fifty.
    """
    texts = list(dict.fromkeys(texts))
    if len(texts) < _MIN_TEXTS:
        raise InputError(f"{len(texts)} different texts are too few to time: give {_MIN_TEXTS}")
    return texts, np.minimum(model.count_tokens(texts), model.max_seq_length)


def singly(model: Embedder, texts: Sequence[str]) -> list[float]:
    """Return the seconds that each text takes in a call of its own."""
    times = []
    for text in texts:
        started = time.perf_counter()
        model.encode(text, truncation="ignore")
        times.append(time.perf_counter() - started)
    return times


def in_calls(model: Embedder, texts: Sequence[str], size: int) -> float:
    """Return the seconds that all texts take in calls of ``size``."""
    started = time.perf_counter()
    for start in range(0, len(texts), size):
        model.encode(texts[start : start + size], truncation="ignore")
    return time.perf_counter() - started


def _percentiles(times: Any) -> dict[str, float]:  # noqa: ANN401
    """Return percentiles of times (rounds, texts), and the spread of the rounds' medians."""
    found = {f"p{p:g}": round(float(np.percentile(times, p)), 3) for p in PERCENTILES}
    medians = np.median(times, axis=1)
    return found | {
        "least_p50": round(float(medians.min()), 3),
        "greatest_p50": round(float(medians.max()), 3),
        "texts": times.shape[1],
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, minimum, maximum and number of values."""
    return {
        "median": round(statistics.median(values), 6),
        "min": round(min(values), 6),
        "max": round(max(values), 6),
        "repeats": len(values),
    }
