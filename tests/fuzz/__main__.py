# ruff: noqa: T201
"""Try inputs at random for as long as is said; print what was tried and what fell.

python -m tests.fuzz --seconds 600 --seed 1
python -m tests.fuzz --fields FOLDER…     every field of these models' settings, in some minutes
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from edge_embed.model.locate import shipped_models
from tests.fuzz.fields import settings_of, walk_fields
from tests.fuzz.files import fuzz_files
from tests.fuzz.graphs import fuzz_graphs
from tests.fuzz.outcome import Outcome
from tests.fuzz.requests import fuzz_requests


def fuzz(outcome: Outcome, seconds: float, seed: int, model: Path) -> None:
    """Run all of it: half of the time files, the other half requests and graphs."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        fuzz_files(outcome, rng, model, Path(name), seconds / 2)
    end = time.monotonic() + seconds / 2
    while time.monotonic() < end:
        fuzz_requests(outcome, rng, model, 2000)
        fuzz_graphs(outcome, rng.randrange(10**6), model, 20)


def walk(outcome: Outcome, folders: list[Path]) -> None:
    """Change every field of every settings file of each folder."""
    with tempfile.TemporaryDirectory() as name:
        for folder in folders:
            copy = settings_of(folder, Path(name) / "model")
            walk_fields(outcome, copy)
            shutil.rmtree(copy)


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, default=shipped_models()["edge-embed-tiny"])
    parser.add_argument("--fields", type=Path, nargs="+", metavar="FOLDER")
    given = parser.parse_args()
    outcome = Outcome()
    if given.fields:
        walk(outcome, given.fields)
    else:
        fuzz(outcome, given.seconds, given.seed, given.model)
    for what, count in sorted(outcome.tried.items()):
        print(f"{what:<24} {count:>8} tried {outcome.refused[what]:>8} refused")
    print(f"{sum(outcome.tried.values())} in all, {len(outcome.fell)} fell")
    print("\n".join(sorted(set(outcome.fell))[:20]))
    return bool(outcome.fell)


if __name__ == "__main__":
    sys.exit(main())
