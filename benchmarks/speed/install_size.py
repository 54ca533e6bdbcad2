"""How many megabytes does the base installation take? Installs into a fresh virtual environment.

python -m benchmarks.speed.install_size [--extra convert] [--json FILE]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from benchmarks.report import save

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--extra", help="An extra to install with it.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    target = f"{ROOT}[{options.extra}]" if options.extra else str(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        site = next(Path(folder).glob("lib/python*/site-packages"))
        before = _megabytes(site)
        subprocess.run(
            [f"{folder}/bin/pip", "install", "-q", "--no-compile", target],
            check=True,
            stdout=sys.stderr,
        )
        by_package = sorted(
            ((_megabytes(path), path.name) for path in site.iterdir()), reverse=True
        )
        result = {
            "extra": options.extra,
            "megabytes": round(_megabytes(site) - before, 1),
            "largest": {name: round(size, 1) for size, name in by_package[:8]},
        }
    print(json.dumps(result, indent=2))
    if options.json:
        extra = f" --extra {options.extra}" if options.extra else ""
        save(options.json, result, command=f"python -m benchmarks.speed.install_size{extra}")


def _megabytes(path: Path) -> float:
    if path.is_file():
        return path.stat().st_size / 1e6
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6


if __name__ == "__main__":
    main()
