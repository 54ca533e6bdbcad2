"""A server under hostile requests beside ordinary ones: alive, prompt, and of bounded memory."""

import math
import os
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from edge_embed.model.config import ModelConfig
from edge_embed.model.locate import shipped_models
from edge_embed.server import Limits
from edge_embed.tasks import Index
from tools.attack.disturbances import Disturbances
from tools.attack.outcome import Outcome
from tools.attack.requests import Request, hostile_request
from tools.attack.server import Server

__all__ = ["soak"]

# Of the shipped unit: 99 of 100 ordinary requests have their answer within it.
_DEADLINE = Limits().request_seconds
_HOSTILE_CLIENTS = 3
_ORDINARY_CLIENTS = 2
# Memory is settled after so long, or after a third of a shorter run, and may grow by so much more:
# medians of ten minutes about then and at the end, since requests at work move it by the second.
_SETTLED_SECONDS = 600.0
_GROWTH = 1.05
_ENTRIES = 3000
_REPORT_SECONDS = 300.0
# Statuses that a hostile request may get: never 500. 0 is a connection that was closed.
_ALLOWED = {0, 200, 400, 403, 404, 405, 408, 413, 415, 422, 424, 429, 503}

_ORDINARY = [
    Request("embed", "/embed", b'{"inputs": "How do I reset my password?"}'),
    Request("embeddings", "/v1/embeddings", b'{"input": ["Opening hours", "Reset my password"]}'),
    Request("search", "/v1/search", b'{"query": "an entry with words", "k": 10}'),
    Request("similarity", "/v1/similarity", b'{"texts": ["When do you open?", "Opening hours"]}'),
]


@dataclass
class _Counts:
    """What the clients have seen."""

    hostile: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    ordinary: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    """Of each ordinary request; infinite if it was not answered with 200."""
    fell: list[str] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    """Load of the machine, from time to time."""


def soak(
    model: Path,
    folder: Path,
    seconds: float,
    seed: int,
    most_mb: float,
    *,
    other_models: bool = False,
    start_seconds: float = 900.0,
) -> tuple[Outcome, dict[str, Any]]:
    """Attack a server for some time.

    Args:
        model: The model folder that it serves.
        folder: An empty folder.
        seconds: How long.
        seed: Of the random numbers.
        most_mb: Most memory of the server, in MiB; it is killed beyond.
        start_seconds: How long its start may take.
        other_models: Serve two more models that do not fit into ``--model-memory`` together.

    Returns:
        The outcome, and the figures as JSON values.
    """
    served, index, spare = folder / "model", folder / "live.index", folder / "spare.index"
    shutil.copytree(model, served)
    _make_index(index, model)
    shutil.copyfile(index, spare)
    arguments = ["-m", f"default={served}", "--index", str(index)]
    if other_models:
        small = shipped_models()["edge-embed-tiny"]
        room = (_weights(served) + _weights(small)) / 1e6 + 1
        arguments += ["-m", f"a={small}", "-m", f"b={small}", "--model-memory", f"{room:.1f}"]
    counts = _Counts()
    outcome = Outcome(f"a server, {seconds:.0f} s")
    server = Server(arguments, folder / "log", most_mb, start_seconds)
    with server:
        names = ["a", "b"] if other_models else []
        others = Disturbances(server, served, index, spare, names)
        _run_clients(server, others, counts, seconds, seed)
    settled = min(_SETTLED_SECONDS, seconds / 3)
    p50, p99 = (_quantile(counts.seconds, share) for share in (0.5, 0.99))
    early = server.memory_between(settled / 2, settled * 1.5)
    late = server.memory_between(seconds - settled, seconds)
    minutes = [
        round(server.memory_between(start, start + 60), 1)
        for start in range(0, int(seconds) - 59, 60)
    ]
    outcome.tried = sum(counts.hostile.values())
    outcome.refused = outcome.tried - counts.statuses[200]
    outcome.fell += [*counts.fell, *server.problems]
    if not p99 <= _DEADLINE:
        outcome.fell.append(f"ordinary requests took {p99:.1f} s at the 99th percentile")
    # Shorter runs end before memory has settled.
    if seconds >= 3 * _SETTLED_SECONDS and not late <= early * _GROWTH:
        outcome.fell.append(f"memory went from {early:.0f} to {late:.0f} MiB")
    figures = {
        "seconds": seconds,
        "seed": seed,
        "deadline_s": _DEADLINE,
        "ordinary": {
            "requests": len(counts.seconds),
            "p50_s": round(p50, 3),
            "p99_s": round(p99, 3) if math.isfinite(p99) else None,
            "statuses": _sorted(counts.ordinary),
        },
        "hostile": {"kinds": _sorted(counts.hostile), "statuses": _sorted(counts.statuses)},
        "memory_mib": {
            "limit": most_mb,
            "settled_after_s": settled,
            "settled": round(early, 1),
            "end": round(late, 1),
            "of_each_minute": minutes,
            "peak": round(server.peak, 1),
            "peak_without_files": round(server.anonymous, 1),
            "limited_by": "memory cgroup" if server.in_group else "resident memory",
        },
        "load": counts.loads,
        "fell": outcome.fell,
    }
    return outcome, figures


def _run_clients(
    server: Server, others: Disturbances, counts: _Counts, seconds: float, seed: int
) -> None:
    end = time.monotonic() + seconds
    lock = threading.Lock()

    def attack(chance: random.Random) -> None:
        request = hostile_request(chance)
        status, _ = _ask(server.port, request)
        with lock:
            counts.hostile[request.kind] += 1
            counts.statuses[status] += 1
            if status not in _ALLOWED or (status == 200 and request.must_be_refused):
                counts.fell.append(f"{status} at {request.path}: {request.body[:120]!r}")

    def disturb(chance: random.Random) -> None:
        kind = others.disturb(chance)
        with lock:
            counts.hostile[kind] += 1
        time.sleep(chance.uniform(1, 5))

    def use(chance: random.Random) -> None:
        status, took = _ask(server.port, chance.choice(_ORDINARY))
        with lock:
            counts.ordinary[status] += 1
            counts.seconds.append(took if status == 200 else math.inf)
        time.sleep(0.1)

    def repeat(action: Callable[[random.Random], None], number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        while time.monotonic() < end and server.process.poll() is None:
            action(chance)

    actions = [*[attack] * _HOSTILE_CLIENTS, *[use] * _ORDINARY_CLIENTS, disturb]
    threads = [
        threading.Thread(target=repeat, args=(action, number))
        for number, action in enumerate(actions)
    ]
    for thread in threads:
        thread.start()
    while alive := [thread for thread in threads if thread.is_alive()]:
        alive[0].join(_REPORT_SECONDS)
        counts.loads.append(round(os.getloadavg()[1], 1))
        print(
            f"{time.monotonic() - end + seconds:.0f} s: {sum(counts.hostile.values())} hostile, "
            f"{len(counts.seconds)} ordinary requests, {server.memory[-1][1]:.0f} MiB, "
            f"{len(counts.fell)} fell, load {counts.loads[-1]}",
            flush=True,
        )


def _ask(port: int, request: Request) -> tuple[int, float]:
    """Return the status of an answer, 0 if there is none, and the time in seconds."""
    started = time.monotonic()
    connection = HTTPConnection("127.0.0.1", port, timeout=2 * _DEADLINE)
    try:
        connection.request("POST", request.path, request.body, dict(request.headers))
        answer = connection.getresponse()
        answer.read()
        status = answer.status
    except (OSError, HTTPException):
        status = 0
    finally:
        connection.close()
    return status, time.monotonic() - started


def _make_index(path: Path, model: Path) -> None:
    dim = ModelConfig.from_folder(model).dim
    texts = [f"entry {n} with some words" for n in range(_ENTRIES)]
    vectors = np.random.default_rng(0).normal(size=(_ENTRIES, dim))
    with Index.create(path, dim=dim) as index:
        index.add(texts, vectors, metadata=[{"n": n} for n in range(_ENTRIES)])


def _weights(folder: Path) -> int:
    return sum(file.stat().st_size for file in (folder / "openvino").glob("*.bin"))


def _quantile(values: list[float], share: float) -> float:
    """Return the smallest value that so many are not above; infinite if there are none."""
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else math.inf


def _sorted(counter: Counter[Any]) -> dict[str, int]:
    return {str(name): count for name, count in sorted(counter.items(), key=lambda item: -item[1])}
