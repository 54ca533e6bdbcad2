"""What does a search cost right after a write, beside one without?

    python -m benchmarks.tasks.index_after_writes --entries 15000 --before CHECKOUT --json FILE

Between two queries another process writes 64 texts. Milliseconds of the processor and by the clock,
as quartiles. ``--before`` runs the same on a checkout of an earlier version, in turn.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.report import command_line, save

_WRITE = """
import sys
import numpy as np
from edge_embed.tasks import Index
index, rng = Index(sys.argv[1]), np.random.default_rng(1)
print("ready", flush=True)
for number, _ in enumerate(sys.stdin):
    ids = [f"new {number} {row}" for row in range(64)]
    index.add(ids, rng.standard_normal((64, 384)).astype(np.float32), ids=ids)
    print("written", flush=True)
"""
_SEARCH = """
import json, subprocess, sys, tempfile, time
import numpy as np
from edge_embed.tasks import Index
count, queries, write = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
vectors = np.random.default_rng(0).standard_normal((count, 384)).astype(np.float32)
names = [f"text {number}" for number in range(count)]
cpu, wall, alone = [], [], []
with tempfile.TemporaryDirectory() as folder, Index.create(
    f"{folder}/a.index", dim=384, dtype="int8"
) as index:
    index.add(names, vectors, ids=names)
    index.search(vectors[:1])
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    command = [sys.executable, "-c", write, f"{folder}/a.index"]
    with subprocess.Popen(command, **pipes) as writer:
        writer.stdout.readline()
        for vector in vectors[:queries, None]:
            writer.stdin.write("write\\n")
            writer.stdin.flush()
            writer.stdout.readline()
            started, used = time.perf_counter(), time.process_time()
            index.search(vector)
            wall.append(time.perf_counter() - started)
            cpu.append(time.process_time() - used)
            used = time.process_time()
            index.search(vector)
            alone.append(time.process_time() - used)
        writer.stdin.close()
    entries = len(index)
quartiles = lambda seconds: np.round(np.quantile(seconds, [0.25, 0.5, 0.75]) * 1e3, 2).tolist()
found = {"after a write, cpu ms": cpu, "after a write, ms": wall, "without a write, cpu ms": alone}
print(json.dumps({"entries": entries} | {name: quartiles(value) for name, value in found.items()}))
"""


def searched(checkout: Path, entries: int, queries: int) -> dict[str, Any]:
    """Measure the package of a checkout in a process of its own."""
    command = [sys.executable, "-c", _SEARCH, str(entries), str(queries), _WRITE]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=15_000)
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    checkouts = {"now": Path(__file__).parents[2]}
    if options.before is not None:
        checkouts = {"before": options.before, **checkouts}
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in checkouts}
    for _ in range(options.rounds):
        for name, checkout in checkouts.items():
            rounds[name].append(searched(checkout, options.entries, options.queries))
            print(name, json.dumps(rounds[name][-1]), flush=True)
    if options.json is not None:
        save(options.json, {"quartiles": rounds}, command=command_line())


if __name__ == "__main__":
    main()
