"""Inputs at random: files of every format, model folders, filters. No traceback, no hang.

python -m tests.fuzz --seconds 600 --seed 1     a longer run; prints what was tried and what fell
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_embed import Embedder
from edge_embed.errors import EdgeEmbedError
from edge_embed.files.readers import read_records, read_rows, read_texts
from edge_embed.tasks import Index

__all__ = ["Outcome", "fuzz_filters", "fuzz_model_folder", "fuzz_readers", "main"]

_LONG = "x" * 10_000
_WILD: list[Any] = [
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    2**70,
    1e308,
    "",
    _LONG,
    [],
    {},
    [[]],
    "\ud83d",
]
_PIECES = [b'"', b",", b";", b"\n", b"\r", b"\t", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"{", b"["]
_PIECES += [b"NaN", b"\\ud83d", b'{"text": "a"}', b"text", b"sep=;\n", b"\x1f\x8b", b"1" * 5000]
_ENDINGS = [".txt", ".jsonl", ".csv", ".tsv", ".parquet", ".csv.gz", ".jsonl.gz"]


@dataclass
class Outcome:
    """What was tried, and what fell."""

    tried: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    fell: list[str] = field(default_factory=list)

    def attempt(self, what: str, call: Callable[[], object]) -> None:
        """Call; an error that is raised on purpose is right, any other one is kept."""
        self.tried[what] += 1
        try:
            call()
        except EdgeEmbedError as error:
            self.refused[what] += 1
            # A wild value of a model's own file may be quoted in full.
            if "\n" in str(error) or len(str(error)) > 5000 + len(_LONG):
                self.fell.append(f"{what}: a message of {len(str(error))} characters or many lines")
        except Exception:  # noqa: BLE001 - the point
            self.fell.append(f"{what}: {traceback.format_exc(limit=-4)}")


def fuzz_readers(outcome: Outcome, rng: random.Random, folder: Path) -> None:
    """Read one file of random pieces through every reader."""
    content = b"".join(rng.choice(_PIECES) for _ in range(rng.randrange(40)))
    path = folder / f"a{rng.choice(_ENDINGS)}"
    path.write_bytes(content)
    column = rng.choice([None, "text"])
    outcome.attempt("texts", lambda: list(read_texts(path, column=column)))
    outcome.attempt("rows", lambda: list(read_rows(path, column=column, allow_empty=True)))
    outcome.attempt("records", lambda: list(read_records(path, {"text": ["text"]})))
    path.unlink()


def fuzz_model_folder(outcome: Outcome, rng: random.Random, model: Path, folder: Path) -> None:
    """Damage one file of a model folder and load it: cut, emptied, swapped, or a wild value."""
    copy = folder / "model"
    shutil.copytree(model, copy)
    files = sorted(path for path in copy.rglob("*") if path.is_file())
    path = rng.choice(files)
    content = path.read_bytes()
    how = rng.choice(["cut", "emptied", "swapped", "removed", "bits", "value", "value", "value"])
    if how == "cut":
        path.write_bytes(content[: rng.randrange(len(content) + 1)])
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "swapped":
        path.write_bytes(rng.choice(files).read_bytes())
    elif how == "removed":
        path.unlink()
    elif how == "bits" or path.suffix != ".json":
        how = "bits"
        damaged = bytearray(content or b"x")
        for _ in range(5):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(bytes(damaged))
    else:
        _wild_value(path, rng)
    if path.suffix in (".xml", ".bin") and how in ("cut", "bits", "swapped"):
        how = "removed"  # the engine may read damaged graphs in native code: 'verify' names them
        path.unlink(missing_ok=True)
    outcome.attempt(
        f"model, {how}", lambda: Embedder(copy, threads=1, cache=False).encode(["a parcel"])
    )
    shutil.rmtree(copy)


def fuzz_filters(outcome: Outcome, rng: random.Random, index: Index) -> None:
    """Search with a filter of wild values."""
    values = [*_WILD, "1", 1, 1.5, "true", float("nan"), b"x", ["a", 1]]
    where = {rng.choice(["a", "b", 'c"', "d\0", "", "$.x", "e" * 2000]): rng.choice(values)}
    outcome.attempt("filter", lambda: index.search(np.ones((1, 4)), where=where))


def _wild_value(path: Path, rng: random.Random) -> None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return
    place = document
    while isinstance(place, (dict, list)) and place:
        key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
        below = place[key]
        if not isinstance(below, (dict, list)) or not below or rng.random() < 0.4:
            place[key] = rng.choice(_WILD)
            break
        place = below
    path.write_text(json.dumps(document), encoding="utf-8")


def main(seconds: float, seed: int, model: Path) -> Outcome:
    """Run all of it for so long."""
    outcome, rng, end = Outcome(), random.Random(seed), time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Index.create(folder / "a.index", dim=4) as index:
            index.add(["x", "y"], np.eye(4)[:2], metadata=[{"a": 1}, {"a": "1", "b": True}])
            while time.monotonic() < end:
                for _ in range(30):
                    fuzz_readers(outcome, rng, folder)
                    fuzz_filters(outcome, rng, index)
                fuzz_model_folder(outcome, rng, model, folder)
    return outcome


if __name__ == "__main__":
    from edge_embed.model.locate import shipped_models

    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, default=shipped_models()["edge-embed-albert-mini"])
    given = parser.parse_args()
    result = main(given.seconds, given.seed, given.model)
    for what, count in sorted(result.tried.items()):
        sys.stdout.write(f"{what:<20} {count:>8} tried {result.refused[what]:>8} refused\n")
    sys.stdout.write(f"{sum(result.tried.values())} in all, {len(result.fell)} fell\n")
    sys.stdout.write("\n".join(sorted(set(result.fell))[:20]) + "\n")
    sys.exit(bool(result.fell))
