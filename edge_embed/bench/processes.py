"""Measure start-up time and memory of a model, in separate processes."""

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_embed.errors import EdgeEmbedError, InputError
from edge_embed.files.write_errors import temporary_files

__all__ = ["cold_start", "memory_growth", "random_calls"]

# Memory is that of the whole process, as the system counts it.
_START_UP = """
import json, sys, time
options = json.load(sys.stdin)
start = time.perf_counter()
from edge_embed import Embedder
imported = time.perf_counter()
model = Embedder(**options)
loaded = time.perf_counter()
model.encode("How do I reset the password of my account?")
first = time.perf_counter()
from edge_embed.hardware.machine import memory_mb
print(json.dumps({
    "import_s": imported - start, "load_s": loaded - imported, "first_vector_s": first - loaded,
    "total_s": first - start, "resident_mib": memory_mb().get("resident", 0.0),
}))
"""

_MEMORY = """
import json, sys
from edge_embed import Embedder
from edge_embed.bench.processes import random_calls
from edge_embed.hardware.machine import memory_mb
request = json.load(sys.stdin)
model = Embedder(**request["options"])
model.encode(request["texts"][0], truncation="ignore")
found = {"after_load": memory_mb()}
model.warm_up()
found["after_warm_up"] = memory_mb()
for number, texts in enumerate(random_calls(request["texts"], request["calls"])):
    if number == request["calls"] // 2:
        found["after_half_of_the_calls"] = memory_mb()
    model.encode(texts, truncation="ignore")
print(json.dumps(found | {"after_all_calls": memory_mb()}))
"""


def cold_start(options: Mapping[str, Any], *, rounds: int = 5) -> dict[str, Any]:
    """Time import, load and first vector of new processes, without and with a model cache.

    Args:
        options: Arguments of :class:`edge_embed.Embedder`; its cache is replaced.
        rounds: Processes that start with a warm cache.

    Returns:
        ``cold_cache``, one process, and ``warm_cache``, several: seconds, and MiB of memory.

    Raises:
        InputError: the model cannot be loaded so.
    """
    from edge_embed.bench.timing import spread

    with temporary_files(), tempfile.TemporaryDirectory() as cache:
        runs = [_child(_START_UP, {**options, "cache": cache}) for _ in range(rounds + 1)]
    return {
        "cold_cache": {name: round(value, 4) for name, value in runs[0].items()},
        "warm_cache": {name: spread([run[name] for run in runs[1:]]) for name in runs[0]},
    }


def memory_growth(
    options: Mapping[str, Any], texts: Sequence[str], *, calls: int = 1000
) -> dict[str, Any]:
    """Measure a process's memory over calls of random size and length.

    Args:
        options: Arguments of :class:`edge_embed.Embedder`.
        texts: Texts that the calls are made of.
        calls: Number of calls.

    Returns:
        Resident and peak memory in MiB, after the load and a first text, after the warm-up, after
        half of the calls, and after all of them.

    Raises:
        InputError: the model cannot be loaded with these options.
    """
    request = {"options": dict(options), "texts": list(texts), "calls": calls}
    return {"calls": calls, **_child(_MEMORY, request)}


def random_calls(texts: Sequence[str], calls: int) -> Iterator[list[str]]:
    """Yield lists of 1 to 24 texts, each made of 1 to 4; most lists are short."""
    rng = random.Random(1)  # noqa: S311
    for _ in range(calls):
        yield [" ".join(rng.choices(texts, k=rng.randint(1, 4))) for _ in range(_size(rng))]


def _size(rng: random.Random) -> int:
    return min(24, 1 + int(rng.expovariate(1 / 4)))


def _child(code: str, request: Mapping[str, Any]) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", "-c", code],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise _child_error(said[-1])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _child_error(line: str) -> EdgeEmbedError:
    return InputError(f"the model cannot be measured: {line.partition('Error: ')[2] or line}")
