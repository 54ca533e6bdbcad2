"""Graphs and weights with damaged bytes, each read in a process of its own.

What OpenVINO reads in native code may end a process; how often is counted apart, for it cannot be
caught: ``verify`` and ``Embedder(verify=True)`` find the damage before.

    python -m tests.fuzz.graphs MODEL SEED FIRST COUNT     reads so many; prints a word for each
"""

import random
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from tests.fuzz.outcome import Outcome

__all__ = ["fuzz_graphs"]

_SECONDS = 120


def fuzz_graphs(outcome: Outcome, seed: int, model: Path, count: int) -> None:
    """Read ``count`` damaged graphs; none may raise another error than the package's, or hang."""
    first = 0
    while first < count:
        command = [sys.executable, "-m", "tests.fuzz.graphs", str(model), str(seed)]
        command += [str(first), str(count)]
        limit = _SECONDS + 10 * count
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
        words = done.stdout.split()
        for word in words:
            outcome.tried[f"graph, {word}"] += 1
        if "Traceback" in done.stderr:
            outcome.fell.append(f"graph {first + len(words)} of seed {seed}: {done.stderr[-800:]}")
        if done.returncode:
            outcome.tried["graph, process ended"] += 1
        first += len(words) + bool(done.returncode)


def _main(model: Path, seed: int, first: int, count: int) -> None:
    from edge_embed import Embedder
    from edge_embed.errors import EdgeEmbedError

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "model"
        shutil.copytree(model, copy)
        files = sorted(copy.glob("openvino/*qint8*"))
        for number in range(first, count):
            rng = random.Random(seed * 1_000_003 + number)
            file = rng.choice(files)
            whole = file.read_bytes()
            file.write_bytes(_damaged(whole, rng))
            try:
                Embedder(copy, variant="int8", threads=1, cache=False).encode(["a parcel"])
                word = "read"
            except EdgeEmbedError:
                word = "refused"
            file.write_bytes(whole)
            print(word, flush=True)  # noqa: T201 - read by the parent


def _damaged(whole: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.2:
        return whole[: rng.randrange(len(whole))]
    content = bytearray(whole)
    for _ in range(rng.choice([1, 1, 8, 64])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
