"""What do INT8 activations and float activations give and cost without VNNI?

    python -m benchmarks.quantization.without_vnni -m MODEL [-m MODEL…] [--json FILE]

The engine is held to AVX-512 without VNNI (``ONEDNN_MAX_CPU_ISA=AVX512_CORE``), each way in a
process of its own, in turns; texts are those of the demo. Vectors are compared with those of INT8
with VNNI or AMX, which this machine must have. Times are processor time of a call with all texts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import command_line, save
from edge_embed.hardware.machine import int8_is_exact

WORKER = """
import sys, time
import numpy as np
from edge_embed import Embedder
from edge_embed.cli.demo import demo_texts
from edge_embed.runtime import graph
name, exact, out = sys.argv[1], sys.argv[2] == "int8", sys.argv[3]
graph.int8_is_exact = lambda: exact
texts = demo_texts()
lines = texts["queries"] + texts["answers"] + texts["questions"]
lines += [text for pair in texts["pairs"] for text in pair]
model = Embedder(name, cache=False)
np.save(out, model.encode(lines, normalize=True))
for _ in range(9):
    started = time.process_time()
    model.encode(lines)
    print(time.process_time() - started)
"""
WAYS = {
    "int8 with VNNI": ("ALL", "int8"),
    "int8 without": ("AVX512_CORE", "int8"),
    "float activations without": ("AVX512_CORE", "float"),
}


def run(model: str, isa: str, activations: str) -> tuple[np.ndarray, list[float]]:
    """Return the unit vectors, float64 (texts, dim), and the seconds of each call."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "vectors.npy"
        command = [sys.executable, "-c", WORKER, model, activations, str(out)]
        environment = os.environ | {"ONEDNN_MAX_CPU_ISA": isa}
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        return np.load(out).astype(np.float64), list(map(float, done.stdout.split()))


def compare(vectors: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Return cosines with the reference, and by how much similarities of texts differ."""
    cosines = (vectors * reference).sum(axis=1)
    apart = np.abs(vectors @ vectors.T - reference @ reference.T)
    return {
        "cosine mean": round(float(cosines.mean()), 5),
        "cosine least": round(float(cosines.min()), 5),
        "similarities differ by up to": round(float(apart.max()), 4),
    }


def main() -> None:
    """Measure, print, and keep as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", "--model", action="append", required=True)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not int8_is_exact():
        raise SystemExit("this processor has no VNNI to compare with")
    found: dict[str, Any] = {}
    for model in options.model:
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        vectors = {}
        for _ in range(options.rounds):
            for way, (isa, activations) in WAYS.items():
                vectors[way], times = run(model, isa, activations)
                seconds[way] += times
        for way in WAYS:
            quartiles = np.percentile(seconds[way], [25, 50, 75]).round(4).tolist()
            facts: dict[str, Any] = {"processor seconds, quartiles": quartiles}
            facts |= compare(vectors[way], vectors["int8 with VNNI"])
            found[f"{model}, {way}"] = facts
            print(f"{model}, {way}: {json.dumps(facts)}", flush=True)
    if options.json:
        save(options.json, {"results": found}, command=command_line())


if __name__ == "__main__":
    main()
