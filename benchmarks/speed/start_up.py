"""How long from starting Python to the first vector? Each repeat is a process of its own.

python -m benchmarks.speed.start_up [-m MODEL] [--repeats 10] [--json FILE]
"""

import argparse
import json
from pathlib import Path

from benchmarks.report import save
from edge_embed.bench.processes import cold_start
from edge_embed.model.locate import DEFAULT_MODEL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", "--model", default=DEFAULT_MODEL)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = cold_start({"model": options.model}, rounds=options.repeats)
    result = {"model": Path(options.model).name, **found}
    print(json.dumps(result, indent=2))
    if options.json:
        save(
            options.json,
            result,
            command=f"python -m benchmarks.speed.start_up -m {result['model']}",
        )


if __name__ == "__main__":
    main()
