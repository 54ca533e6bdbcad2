"""How long from starting Python to the first vector? Each repeat is a process of its own.

python benchmarks/start_up.py [-m MODEL] [--repeats 10] [--json FILE]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from report import save, spread

from edge_embed.models import DEFAULT_MODEL

# Memory is that of the whole process, from /proc.
CODE = """
import json, sys, time
start = time.perf_counter()
from edge_embed import Embedder
imported = time.perf_counter()
model = Embedder(sys.argv[1], cache=sys.argv[2])
loaded = time.perf_counter()
model.encode("How do I reset the password of my account?")
first = time.perf_counter()
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "import": imported - start, "load": loaded - imported, "first_embedding": first - loaded,
    "total": first - start, "resident_mb": int(status["VmRSS"].split()[0]) / 1024,
}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", "--model", default=DEFAULT_MODEL)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        runs = [_run(options.model, cache) for _ in range(options.repeats + 1)]
    result = {
        "model": Path(options.model).name,
        "cold_cache_s": {key: round(value, 4) for key, value in runs[0].items()},
        "warm_cache_s": {key: spread([run[key] for run in runs[1:]]) for key in runs[0]},
    }
    print(json.dumps(result, indent=2))
    if options.json:
        save(options.json, result, command=f"python benchmarks/start_up.py -m {result['model']}")


def _run(model: str, cache: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, model, cache], capture_output=True, text=True, check=True
    )
    times: dict[str, float] = json.loads(done.stdout)
    return times


if __name__ == "__main__":
    main()
