"""The default embedders of GPTCache and Milvus beside the adapters that take their place.

    python -m benchmarks.peers.default_embedders DIR -i TEXTS --python PATH --json FILE

DIR is what peers/prepare_defaults.py made: the same weights for all. PATH is the Python of an
environment with gptcache, pymilvus.model, onnxruntime and a transformers below 5, as GPTCache's
class calls a method that 5 no longer has. Both classes are called as they are, offline, and each
library chooses its number of threads.

Nothing is measured unless all FP32 vectors are the same. Starts come first, each a process of its
own, in turn. Then each round takes new texts, one a call and, where the interface takes a list, all
in one call; speeds are compared within a round.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.peers.side_by_side import Worker
from benchmarks.report import command_line, save, spread
from edge_embed.files.readers import read_texts
from edge_embed.model.config import ModelConfig
from edge_embed.runtime.tokenizer import Tokenizer

OURS = {f"edge-embed {peer} {variant}": peer
        for peer in ("gptcache", "pymilvus") for variant in ("fp32", "int8")}  # fmt: skip
"""Our adapters, and the default embedder that each takes the place of."""
THEIRS = sorted(set(OURS.values()))
PACKAGES = ("gptcache", "pymilvus.model", "onnxruntime", "transformers", "tokenizers", "numpy")
LEAST_COSINE = 0.999
"""Of a text's FP32 vectors; below it, the libraries do not do the same work."""
COMPARED = 40
"""Texts whose vectors are compared."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-i", "--input", required=True)
    parser.add_argument("--column")
    parser.add_argument("--python", required=True, help="Of the environment with the peers.")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = options.folder.resolve()
    config = ModelConfig.from_folder(folder / "model")
    count = Tokenizer(config).count
    read = list(dict.fromkeys(read_texts(options.input, column=options.column)))
    random.Random(0).shuffle(read)
    fitting = (text for text in read if count([text])[0] <= config.max_seq_length)
    texts = list(islice(fitting, COMPARED + options.texts))
    compared, texts = texts[:COMPARED], texts[COMPARED:]

    start_up = starts(folder, options.python, options.starts)
    workers = {name: _worker(name, folder, options.python) for name in (*THEIRS, *OURS)}
    cosines = agreement(
        {name: worker.ask([compared], vectors=True)["vectors"] for name, worker in workers.items()}
    )
    speeds = in_turn(workers, texts, options.rounds)
    counts = count(texts).tolist()
    padded = json.loads((folder / "checkpoint/tokenizer_config.json").read_text(encoding="utf-8"))
    document = {
        "model": {"layers_of": "paraphrase-albert-small-v2", "dim": config.dim},
        "texts": len(texts),
        "tokens": {
            "median": statistics.median(counts),
            "max": max(counts),
        },
        "theirs_padded_to": padded["model_max_length"],
        "packages_of_theirs": _versions(options.python),
        "least_cosine_to_gptcache": cosines,
        "results": {
            name: {
                **start_up[name],
                **speeds[name],
                "peak_mb": round(worker.ask([])["memory"]["VmHWM"], 1),
            }
            for name, worker in workers.items()
        },
    }
    print(json.dumps(document, indent=2))
    if options.json:
        save(options.json, document, command=command_line())


def starts(folder: Path, python: str, repeats: int) -> dict[str, dict[str, Any]]:
    """Time new processes from the first import to the first vector; the first one by itself.

    Ours compiles its model in the first, and finds it in its cache in the others.
    """
    shutil.rmtree(folder / "cache", ignore_errors=True)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in (*THEIRS, *OURS)}
    for _ in range(repeats + 1):
        for name, runs in found.items():
            worker = _worker(name, folder, python)
            memory = worker.ask([])["memory"]["VmHWM"]
            worker.process.terminate()
            worker.process.wait()
            runs.append({"s": worker.load_s, "cpu_s": worker.load_cpu_s, "mb": memory})
    return {
        name: {
            "first_start": {key: round(value, 3) for key, value in runs[0].items()},
            "start": {key: quartiles([run[key] for run in runs[1:]]) for key in runs[0]},
        }
        for name, runs in found.items()
    }


def agreement(vectors: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, float]:
    """Return the least cosine of each library's vectors to those of GPTCache, of the same texts.

    Raises:
        SystemExit: FP32 vectors are not the same, so speeds would say nothing.
    """
    unit = {name: _unit(np.array(rows)) for name, rows in vectors.items()}
    base = unit[THEIRS[0]]
    least = {name: round(float((rows * base).sum(axis=1).min()), 5) for name, rows in unit.items()}
    for name, cosine in least.items():
        if not name.endswith("int8") and not cosine >= LEAST_COSINE:
            raise SystemExit(
                f"nothing measured: a vector of {name} has a cosine of {cosine} to {THEIRS[0]}'s, "
                f"less than {LEAST_COSINE}: run benchmarks.peers.prepare_defaults again"
            )
    return least


def in_turn(
    workers: Mapping[str, Worker], texts: Sequence[str], rounds: int
) -> dict[str, dict[str, Any]]:
    """Time texts one a call and in a list; of ours also say how many times as fast they are."""
    size = len(texts) // rounds
    timed: dict[str, dict[str, list[_Cost]]] = {name: {} for name in workers}
    for start in range(0, size * rounds, size):
        part = list(texts[start : start + size])
        for name, worker in workers.items():
            asked = {"singly": [[text] for text in part]}
            if "pymilvus" in name:  # GPTCache's interface takes one text
                asked["list"] = [part]
            for way, calls in asked.items():
                answer = worker.ask(calls)
                cost = _Cost(sum(answer["seconds"]) / size, answer["cpu_s"] / size)
                timed[name].setdefault(way, []).append(cost)
    return {
        name: {
            way: _figures(costs, timed[OURS[name]][way] if name in OURS else None)
            for way, costs in ways.items()
        }
        for name, ways in timed.items()
    }


class _Cost(NamedTuple):
    """Of a text: seconds, and seconds of the processor."""

    seconds: float
    cpu_s: float


def _figures(costs: Sequence[_Cost], theirs: Sequence[_Cost] | None) -> dict[str, Any]:
    found = {
        "texts_per_second": quartiles([1 / cost.seconds for cost in costs]),
        "cpu_ms_per_text": quartiles([1000 * cost.cpu_s for cost in costs]),
    }
    if theirs:
        pairs = list(zip(theirs, costs, strict=True))
        found["times_as_fast"] = quartiles([a.seconds / b.seconds for a, b in pairs])
        found["times_less_cpu"] = quartiles([a.cpu_s / b.cpu_s for a, b in pairs])
    return found


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Return the spread of values, quartiles included."""
    low, _, high = np.percentile(values, (25, 50, 75))
    return {**spread(values), "q1": round(float(low), 6), "q3": round(float(high), 6)}


def _worker(name: str, folder: Path, python: str) -> Worker:
    ours = name in OURS
    threads = len(os.sched_getaffinity(0))
    return Worker(
        name, folder, python=sys.executable if ours else python, threads=threads, hint="latency"
    )


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # a vector of zeros has no direction, and agrees with none
        unit: npt.NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def _versions(python: str) -> dict[str, str]:
    code = (
        "import json, sys; from importlib.metadata import version; "
        "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
    )
    done = subprocess.run(
        [python, "-c", code, *PACKAGES], capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
