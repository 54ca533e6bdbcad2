"""The same work by several libraries, in turn, so that a busy machine slows them all alike.

    python -m benchmarks.peers.side_by_side bulk    --peers DIR -m MODEL -i TEXTS [--column NAME]
    python -m benchmarks.peers.side_by_side single  ...   one query a call, p50 to p99.9; a
                                      file that repeats one query times it without new shapes
    python -m benchmarks.peers.side_by_side groups  ...   groups of 8 texts of mixed lengths
    python -m benchmarks.peers.side_by_side memory  ...   after load and calls of random shape

DIR is what peers/prepare.py made from MODEL. Every library runs in a process of its own, with the
same number of threads; ``--python NAME=PATH`` names another environment for one of them. Ratios are
taken within a round; the spread over rounds is reported.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import command_line, save, spread
from edge_embed.files.readers import read_texts

OURS = "edge-embed"
WORKER = Path(__file__).resolve().with_name("worker.py")


class Worker:
    """A library in its process."""

    def __init__(self, peer: str, folder: Path, *, python: str, threads: int, hint: str) -> None:
        command = [python, str(WORKER), peer, str(folder), str(threads), hint]
        self.command = " ".join(command)
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        loaded = self._answer()
        self.load_s, self.load_cpu_s = loaded["load_s"], loaded["load_cpu_s"]

    def ask(self, calls: list[list[str]], *, vectors: bool = False) -> dict[str, Any]:
        """Embed each list in a call of its own; return the seconds of each, and the memory."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"calls": calls, "vectors": vectors}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"this ended, run it by hand to see why: {self.command}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question", choices=["bulk", "single", "groups", "memory"])
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("-i", "--input", required=True)
    parser.add_argument("--column")
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", action="append", help="One of the peers; several may be given.")
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    texts = list(islice(read_texts(options.input, column=options.column), options.texts))
    random.Random(0).shuffle(texts)
    hint = "throughput" if options.question == "bulk" else "latency"
    pythons = dict(item.split("=", 1) for item in options.python)
    names = [OURS, *(options.only or _default_peers())]
    workers = {
        name: Worker(
            name,
            _folder(name, options.model, options.peers),
            python=pythons.get(name, sys.executable),
            threads=options.threads,
            hint=hint,
        )
        for name in names
    }
    result = QUESTIONS[options.question](workers, texts, options.rounds)
    document = {
        "question": options.question,
        "model": options.model.name,
        "texts": len(texts),
        "threads": options.threads,
        "agreement": _agreement(workers, texts[:50]),
        "results": result,
    }
    print(json.dumps(document, indent=2))
    if options.json:
        save(options.json, document, command=command_line())


def bulk(workers: dict[str, Worker], texts: list[str], rounds: int) -> dict[str, Any]:
    """All texts in one call: texts a second."""
    seconds = _in_turn(workers, [texts], rounds)
    ours = seconds[OURS]
    return {
        name: {
            "texts_per_second": spread([len(texts) / value[0] for value in values]),
            "ours_is_faster_by": spread(
                [theirs[0] / own[0] for theirs, own in zip(values, ours, strict=True)]
            ),
        }
        for name, values in seconds.items()
    }


def single(workers: dict[str, Worker], texts: list[str], rounds: int) -> dict[str, Any]:
    """One text a call, lengths mixed."""
    return _latency(workers, [[text] for text in texts], rounds)


def groups(workers: dict[str, Worker], texts: list[str], rounds: int) -> dict[str, Any]:
    """Groups of 8 texts of mixed lengths, each group new."""
    calls = [texts[start : start + 8] for start in range(0, len(texts) - 7, 8)]
    return _latency(workers, calls, rounds)


def memory(workers: dict[str, Worker], texts: list[str], rounds: int) -> dict[str, Any]:
    """Resident megabytes after load, and after calls of random batch and length."""
    rng = random.Random(1)
    calls = [
        [" ".join(rng.sample(texts, rng.randint(1, 4))) for _ in range(rng.randint(1, 24))]
        for _ in range(200 * rounds)
    ]
    found = {}
    for name, worker in workers.items():
        before = worker.ask([])["memory"]
        after = worker.ask(calls)["memory"]
        found[name] = {
            "after_load_mb": round(before["VmRSS"], 1),
            "calls": len(calls),
            "after_calls_mb": round(after["VmRSS"], 1),
            "peak_mb": round(after["VmHWM"], 1),
        }
    return found


QUESTIONS = {"bulk": bulk, "single": single, "groups": groups, "memory": memory}


def _latency(workers: dict[str, Worker], calls: list[list[str]], rounds: int) -> dict[str, Any]:
    """Ask each round for calls that no library has seen before."""
    size = len(calls) // rounds
    parts = [calls[start * size : (start + 1) * size] for start in range(rounds)]
    percentiles: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
    for part in parts:
        for name, worker in workers.items():
            milliseconds = np.array(worker.ask(part)["seconds"]) * 1000
            found = {
                f"p{p:g}": float(np.percentile(milliseconds, p)) for p in (50, 90, 95, 99, 99.9)
            }
            percentiles[name].append(found)
    return {
        name: {
            key: spread([found[key] for found in rounds_of])
            | {
                "ours_takes": round(
                    statistics.median(
                        own[key] / theirs[key]
                        for own, theirs in zip(percentiles[OURS], rounds_of, strict=True)
                    ),
                    3,
                )
            }
            for key in rounds_of[0]
        }
        for name, rounds_of in percentiles.items()
    }


def _in_turn(
    workers: dict[str, Worker], calls: list[list[str]], rounds: int
) -> dict[str, list[list[float]]]:
    for worker in workers.values():
        worker.ask([call[:300] for call in calls])  # warm-up
    seconds: dict[str, list[list[float]]] = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            seconds[name].append(worker.ask(calls)["seconds"])
    return seconds


def _agreement(workers: dict[str, Worker], texts: list[str]) -> dict[str, float]:
    """Return the least cosine between our vectors and each peer's: is it the same work?"""
    vectors = {
        name: np.array(worker.ask([texts], vectors=True)["vectors"])
        for name, worker in workers.items()
    }
    unit = {n: v / np.linalg.norm(v, axis=1, keepdims=True) for n, v in vectors.items()}
    return {name: round(float((v * unit[OURS]).sum(axis=1).min()), 5) for name, v in unit.items()}


def _folder(name: str, model: Path, peers: Path) -> Path:
    if name == OURS:
        return model
    return peers / "genai" if "genai" in name else peers


def _default_peers() -> list[str]:
    return [
        "openvino-genai int8",
        "sentence-transformers openvino int8",
        "sentence-transformers openvino",
        "optimum-intel int8",
        "sentence-transformers torch",
    ]


if __name__ == "__main__":
    main()
