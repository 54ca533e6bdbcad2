"""What an index costs as it grows: to fill, to rebuild its graph, to open, to ask and to change.

    python -m benchmarks.tasks.index_growth TEXTS… -m edge-embed-tiny --sizes 10000 100000 1000000 \
        --cache FOLDER --json FILE --plot FILE.png

For each size and each way to store vectors: seconds of adding in blocks of 4,096, seconds of the
neighbour graph, bytes a text on the disk, seconds to open and to answer first in a new process, a
query's time with its embedding against the embedding alone (by itself, and as another process
adds), recall@10 against comparing every vector, and deletes a second. ``--cache`` keeps the
vectors, which take longest, for the next run. A row is kept as soon as it is measured, and not
measured again if FILE has it.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.report import command_line, save, spread
from benchmarks.tasks.near_duplicates import read_lines
from edge_embed import Embedder
from edge_embed.model.fingerprint import model_fingerprint
from edge_embed.tasks import Index
from edge_embed.tasks.index.facts import VectorType

_BLOCK = 4096
_QUERIES = 200
_OPEN = """
import sys, time
import numpy as np
from edge_embed.tasks import Index
vector = np.load(sys.argv[2])
started = time.perf_counter()
index = Index(sys.argv[1])
opened = time.perf_counter()
index.search(vector, k=10)
first = time.perf_counter()
from edge_embed.hardware.machine import memory_mb
print(opened - started, first - started, memory_mb()["peak"])
"""
_WRITE = """
import sys
import numpy as np
from edge_embed.tasks import Index
index, vectors = Index(sys.argv[1]), np.load(sys.argv[2], mmap_mode="r")
print("ready", flush=True)
number = 0
while True:
    rows = np.arange(number, number + 64) % len(vectors)
    index.add([f"new {n}" for n in rows], np.array(vectors[rows]), ids=[f"new {n}" for n in rows])
    number += 64
"""

Vectors = npt.NDArray[np.float32]


@contextmanager
def writer(index: Path, vectors: Path) -> Iterator[None]:
    """Add 64 texts at a time from another process."""
    command = [sys.executable, "-c", _WRITE, str(index), str(vectors)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.kill()


def asked(
    index: Index, model: Embedder, queries: Sequence[str], vectors: Vectors
) -> dict[str, Any]:
    """Return the time of a query with its embedding, and that of the embedding alone."""
    alone, whole, cpu = [], [], []
    for text, vector in zip(queries, vectors, strict=True):
        begun = time.perf_counter()
        model.encode(text)
        alone.append(time.perf_counter() - begun)
        used = time.process_time()
        index.search(vector[None], k=10)
        cpu.append(time.process_time() - used)
        whole.append(time.perf_counter() - begun)
    return {
        "embedding_seconds": spread(alone),
        "query_seconds": spread(whole),
        "search_cpu_seconds": spread(cpu),
        "ratio_of_medians": round(float(np.median(whole) / np.median(alone)), 2),
    }


def at_size(
    folder: Path,
    model: Embedder,
    texts: Sequence[str],
    vectors: Vectors,
    queries: Sequence[str],
    asking: Vectors,
    dtype: VectorType,
) -> dict[str, Any]:
    """Fill an index, and measure it."""
    path = folder / f"{dtype}.index"
    facts: dict[str, Any] = {"texts": len(texts), "stored as": dtype}
    ids = [str(number) for number in range(len(texts))]
    with Index.create(path, dim=vectors.shape[1], dtype=dtype) as index:
        started, used = time.perf_counter(), time.process_time()
        for start in range(0, len(texts), _BLOCK):
            part = slice(start, start + _BLOCK)
            index.add(texts[part], vectors[part], ids=ids[part])
        added, added_cpu = time.perf_counter(), time.process_time()
        index.refresh()
        facts["graph_seconds"] = round(time.perf_counter() - added, 1)
        facts["add_cpu_seconds"] = round(added_cpu - used, 1)
        facts["graph_cpu_seconds"] = round(time.process_time() - added_cpu, 1)
        facts["add_seconds"] = round(added - started, 1)
        facts["added_per_second"] = round(len(texts) / (added - started))
        truth = index.search(asking, k=10, exact=True)
        found = index.search(asking, k=10)
        shared = [
            len({hit.id for hit in a} & {hit.id for hit in b}) / 10
            for a, b in zip(truth, found, strict=True)
        ]
        facts["recall@10"] = round(float(np.mean(shared)), 4)
        facts["alone"] = asked(index, model, queries, asking)
    files = [file for file in folder.iterdir() if file.name.startswith(path.name)]
    facts["bytes_per_text"] = round(sum(file.stat().st_size for file in files) / len(texts))
    facts["files"] = {file.name: file.stat().st_size for file in sorted(files)}
    np.save(folder / "one.npy", asking[:1])
    np.save(folder / "more.npy", vectors[:20_000])
    opened = [
        [float(x) for x in output.split()]
        for output in (
            subprocess.run(
                [sys.executable, "-c", _OPEN, str(path), str(folder / "one.npy")],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            for _ in range(5)
        )
    ]
    facts["open_seconds"] = spread([row[0] for row in opened])
    facts["open_and_first_answer_seconds"] = spread([row[1] for row in opened])
    facts["memory_mb"] = max(row[2] for row in opened)
    with Index(path) as index:
        with writer(path, folder / "more.npy"):
            facts["beside a writer"] = asked(index, model, queries, asking)
        gone = ids[:: max(1, len(ids) // 2000)][:2000]
        started = time.perf_counter()
        for start in range(0, len(gone), 100):
            index.delete(gone[start : start + 100])
        facts["deleted_per_second"] = round(len(gone) / (time.perf_counter() - started))
    for file in files:
        file.unlink(missing_ok=True)
    return facts


def different(sources: Sequence[Path], count: int) -> list[str]:
    """Return up to ``count`` different texts of several files, shuffled."""
    lines = dict.fromkeys(line for source in sources for line in read_lines(source, None))
    shuffled = list(lines)[:count]
    np.random.default_rng(0).shuffle(shuffled)
    return shuffled


def embedded(model: Embedder, texts: list[str], cache: Path | None) -> Vectors:
    """Return the vectors of texts, float32 (n, dim), from the folder ``cache`` if it has them."""
    if cache is None:
        return model.encode(texts, normalize=True, truncation="ignore").astype(np.float32)
    key = hashlib.sha256("\n".join([model_fingerprint(model), *texts]).encode()).hexdigest()[:16]
    path = cache / f"vectors-{key}.npy"
    if not path.is_file():
        np.save(path, embedded(model, texts, None).astype(np.float16))
    return np.asarray(np.load(path), np.float32)


def plotted(row: dict[str, Any]) -> tuple[float, float, float]:
    """Return what the panels show of a size: seconds, milliseconds, bytes."""
    return (
        row["add_seconds"] + row["graph_seconds"],
        row["alone"]["query_seconds"]["median"] * 1e3,
        row["bytes_per_text"],
    )


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Plot what grows."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    titles = (
        "filling and its graph, s",
        "a query with its embedding, ms",
        "on the disk, bytes a text",
    )
    for column, (axis, title) in enumerate(zip(axes, titles, strict=True)):
        for dtype, colour in (("float32", "#1f5fa8"), ("int8", "#d9731a")):
            own = [row for row in rows if row["stored as"] == dtype]
            if not own:
                continue
            values = [plotted(row)[column] for row in own]
            axis.plot([row["texts"] for row in own], values, "o-", c=colour, label=dtype)
        axis.set(xscale="log", xlabel="texts", title=title, ylim=(0, None))
        axis.grid(alpha=0.3)
    axes[0].set(yscale="log", ylim=(0.1, None))
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("-m", "--model", default="edge-embed-tiny")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--store", nargs="+", default=["float32", "int8"])
    parser.add_argument("--cache", type=Path)
    parser.add_argument(
        "--static", action="store_true", help="store vectors of the static variant: made in seconds"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    most = max(options.sizes) + _QUERIES
    texts = different(options.sources, most)
    model = Embedder(options.model)
    started = time.perf_counter()
    maker = Embedder(options.model, variant="static") if options.static else model
    vectors = embedded(maker, texts, options.cache)
    print(f"{len(texts)} texts embedded in {time.perf_counter() - started:.0f} s")
    queries, stored = texts[:_QUERIES], texts[_QUERIES:]
    rows: list[dict[str, Any]] = []
    if options.json is not None and options.json.is_file():
        rows = json.loads(options.json.read_text(encoding="utf-8"))["rows"]
    known = {(row["texts"], row["stored as"]) for row in rows}
    for size in sorted(options.sizes):
        for dtype in options.store:
            if (size, dtype) in known:
                continue
            with tempfile.TemporaryDirectory() as folder:
                part = stored[:size]
                own = vectors[_QUERIES : _QUERIES + len(part)]
                rows.append(
                    at_size(Path(folder), model, part, own, queries, vectors[:_QUERIES], dtype)
                )
            print(json.dumps(rows[-1]), flush=True)
            if options.json is not None:
                save(options.json, {"rows": rows}, command=command_line())
    if options.plot is not None:
        draw(rows, options.plot)


if __name__ == "__main__":
    main()
