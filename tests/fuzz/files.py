"""Files of every format, model folders and filters, each broken at random."""

import json
import random
import shutil
import time
from pathlib import Path

import numpy as np

from edge_embed import Embedder
from edge_embed.files.readers import read_records, read_rows, read_texts
from edge_embed.tasks import Index
from tests.fuzz.outcome import WILD, Outcome

__all__ = ["fuzz_files", "fuzz_filters", "fuzz_model_folder", "fuzz_readers"]

_PIECES = [b'"', b",", b";", b"\n", b"\r", b"\t", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"{", b"["]
_PIECES += [b"NaN", b"\\ud83d", b'{"text": "a"}', b"text", b"sep=;\n", b"\x1f\x8b", b"1" * 5000]
_ENDINGS = [".txt", ".jsonl", ".csv", ".tsv", ".parquet", ".csv.gz", ".jsonl.gz"]


def fuzz_files(
    outcome: Outcome, rng: random.Random, model: Path, folder: Path, seconds: float
) -> None:
    """Try all of this module for so long; the folder is for the files that it takes."""
    end = time.monotonic() + seconds
    with Index.create(folder / "a.index", dim=4) as index:
        index.add(["x", "y"], np.eye(4)[:2], metadata=[{"a": 1}, {"a": "1", "b": True}])
        while time.monotonic() < end:
            for _ in range(30):
                fuzz_readers(outcome, rng, folder)
                fuzz_filters(outcome, rng, index)
            fuzz_model_folder(outcome, rng, model, folder)


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
    copy = folder / "damaged"
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
    values = [*WILD, "1", 1, 1.5, "true", float("nan"), b"x", ["a", 1]]
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
            place[key] = rng.choice(WILD)
            break
        place = below
    path.write_text(json.dumps(document), encoding="utf-8")
