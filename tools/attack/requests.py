"""A server under hostile requests beside ordinary ones: alive, prompt, and of bounded memory."""

import json
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from edge_embed.tasks import Index
from tools.attack.outcome import Outcome

__all__ = ["attack_server"]

_JSON = {"Content-Type": "application/json"}
_PATHS = [
    *("/embed", "/embed_all", "/similarity", "/tokenize", "/decode"),
    *("/v1/embeddings", "/v1/similarity", "/v1/dedup", "/v1/search"),
]
_FIELDS = [
    *("inputs", "input", "texts", "others", "query", "ids", "where", "k", "dimensions", "model"),
    *("prompt_name", "hybrid", "truncate", "threshold", "encoding_format", "normalize"),
]
# Longest that an ordinary request may take at the 99th percentile, beside the hostile ones.
_DEADLINE = 10.0


@contextmanager
def _server(model: Path, index: Path) -> Iterator[tuple[int, int]]:
    """Yield the port and the process of a server."""
    command = [sys.executable, "-m", "edge_embed", "serve", "--port", "0", "--timeout", "10"]
    arguments = ["-m", str(model), "--index", str(index)]
    with subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "ready at" in line)
        said = threading.Thread(target=process.stderr.read, daemon=True)
        said.start()
        found = re.search(r":(\d+)\s*$", line)
        assert found is not None
        try:
            yield int(found[1]), process.pid
            if process.poll() is not None:
                raise RuntimeError("the server has ended")
        finally:
            process.terminate()
            process.wait(60)


def _memory(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


def _value(chance: random.Random, depth: int = 0) -> Any:  # noqa: ANN401
    kinds: list[Any] = [
        *(None, True, -1, 2**63, 2**70, 1e300, "", "\0", "word", "a\ud800"),
        "word " * 10 ** chance.randrange(1, 6),
        "x" * 10 ** chance.randrange(1, 6),
        ["word"] * 10 ** chance.randrange(1, 4),
        {"n": chance.choice([1, "x", None, 2**70, [1, 2], {"$gt": 1}])},
        list(range(1, 10 ** chance.randrange(1, 4))),
    ]
    if depth < 3 and chance.random() < 0.3:
        return [_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return chance.choice(kinds)


def _body(chance: random.Random) -> bytes:
    if chance.random() < 0.1:
        return chance.choice([b"", b"{", b"[" * 100_000, b"NaN", b'{"inputs": 1e999}', b"\xff\xfe"])
    fields = chance.sample(_FIELDS, chance.randrange(1, 5))
    return json.dumps({name: _value(chance) for name in fields}).encode()


def _heavy(chance: random.Random) -> tuple[str, bytes]:
    words = " ".join(f"w{n}" for n in range(chance.randrange(10, 3000)))
    path, body = chance.choice(
        [
            ("/tokenize", {"inputs": "word " * 1_500_000}),
            ("/embed_all", {"inputs": ["word " * 200] * 500, "truncate": True}),
            ("/embed", {"inputs": ["word " * 800_000] * 2, "truncate": True}),
            ("/v1/search", {"query": ["word"] * 1024, "k": 1000}),
            ("/v1/search", {"query": words, "hybrid": True, "k": 100}),
            ("/v1/similarity", {"texts": ["word"] * 2048}),
            ("/v1/dedup", {"texts": [f"text {n}" for n in range(2048)]}),
        ]
    )
    return path, json.dumps(body).encode()


def _ask(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def attack_server(model: Path, folder: Path, seconds: float, seed: int) -> Outcome:
    """Send hostile requests from three threads, and ordinary ones from one, for some time."""
    outcome = Outcome(f"requests, {seconds:.0f} s")
    path = folder / "served.index"
    index_vectors = np.random.default_rng(0).normal(size=(3000, _dim(model)))
    with Index.create(path, dim=_dim(model)) as index:
        index.add([f"entry {n} with some words" for n in range(3000)], index_vectors)
    lock = threading.Lock()
    times: list[float] = []
    memory: list[float] = []
    with _server(model, path) as (port, process):
        end = time.monotonic() + seconds

        def hostile(number: int) -> None:
            chance = random.Random(seed + number)
            while time.monotonic() < end:
                target, body = chance.choice(_PATHS), _body(chance)
                if chance.random() < 0.1:
                    target, body = _heavy(chance)
                headers = dict(_JSON)
                if chance.random() < 0.05:
                    headers["Host"] = "evil.example"
                try:
                    status = _ask(port, "POST", target, body, headers)
                except (OSError, HTTPException):
                    status = 0  # closed, as it may be
                with lock:
                    outcome.tried += 1
                    outcome.refused += 400 <= status < 500 or status == 503
                    if status == 500:
                        outcome.fell.append(f"500 at {target}: {body[:120]!r}")
                    if status == 200 and "Host" in headers:
                        outcome.fell.append(f"answered to another name at {target}")

        def ordinary() -> None:
            body = json.dumps({"inputs": "How do I reset my password?"}).encode()
            while time.monotonic() < end:
                started = time.monotonic()
                try:
                    status = _ask(port, "POST", "/embed", body, _JSON)
                except (OSError, HTTPException):
                    status = 0
                if status not in (200, 429):
                    outcome.fell.append(f"an ordinary request got {status}")
                times.append(time.monotonic() - started)
                memory.append(_memory(process))
                time.sleep(0.05)

        threads = [threading.Thread(target=hostile, args=(n,)) for n in range(3)]
        threads.append(threading.Thread(target=ordinary))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    p99 = float(np.percentile(times, 99))
    if p99 > _DEADLINE:
        outcome.fell.append(f"ordinary requests took {p99:.1f} s at the 99th percentile")
    early, late = max(memory[: len(memory) // 5]), memory[-1]
    outcome.note = (
        f"ordinary p50 {np.percentile(times, 50):.2f} s, p99 {p99:.2f} s; memory {early:.0f} MiB "
        f"in the first fifth, {max(memory):.0f} at most, {late:.0f} at the end"
    )
    return outcome


def _dim(model: Path) -> int:
    from edge_embed.model.config import ModelConfig

    return ModelConfig.from_folder(model).dim
