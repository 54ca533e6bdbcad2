"""The graph of an index beside other engines: usearch, hnswlib and faiss on the same vectors.

    python -m benchmarks.tasks.index_engines TEXTS… -m edge-embed-tiny --size 100000 \
        --cache FOLDER --json FILE

All are HNSW with 16 neighbours and 128 candidates, to build and to search. Processor seconds of
building (all threads), milliseconds of the processor a query, recall@10 against comparing every
vector, and bytes a vector of the saved file. Engines that are not installed are left out.
``--static`` and ``--cache`` are those of ``index_growth``.
"""

import argparse
import importlib
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.report import command_line, save
from benchmarks.tasks.index_growth import different, embedded
from edge_embed import Embedder

_QUERIES = 200
_NEAR, _BUILD, _SEARCH = 16, 128, 128

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


Search = Callable[[Vectors], Numbers]
Save = Callable[[str], None]


def usearch(vectors: Vectors, dtype: str) -> tuple[Search, Save]:
    """Build with the engine of the index."""
    graph = importlib.import_module("usearch.index").Index(
        ndim=vectors.shape[1],
        metric="cos",
        dtype=dtype,
        connectivity=_NEAR,
        expansion_add=_BUILD,
        expansion_search=_SEARCH,
    )
    graph.add(np.arange(len(vectors)), vectors)
    return lambda vector: np.asarray(graph.search(vector, 10).keys, np.int64), graph.save


def hnswlib(vectors: Vectors) -> tuple[Search, Save]:
    """Build with the library of HNSW's authors."""
    graph = importlib.import_module("hnswlib").Index("ip", vectors.shape[1])
    graph.init_index(len(vectors), M=_NEAR, ef_construction=_BUILD)
    graph.set_ef(_SEARCH)
    graph.add_items(vectors)
    return lambda vector: np.asarray(graph.knn_query(vector, 10)[0][0], np.int64), graph.save_index


def faiss(vectors: Vectors, *, eight_bits: bool) -> tuple[Search, Save]:
    """Build with faiss, on float32 or on 8 bits a dimension."""
    library = importlib.import_module("faiss")
    dim, inner = vectors.shape[1], library.METRIC_INNER_PRODUCT
    if eight_bits:
        graph = library.IndexHNSWSQ(dim, library.ScalarQuantizer.QT_8bit, _NEAR, inner)
    else:
        graph = library.IndexHNSWFlat(dim, _NEAR, inner)
    graph.hnsw.efConstruction, graph.hnsw.efSearch = _BUILD, _SEARCH
    graph.train(vectors)
    graph.add(vectors)
    return (
        lambda vector: np.asarray(graph.search(vector[None], 10)[1][0], np.int64),
        lambda path: library.write_index(graph, path),
    )


Build = Callable[[Vectors], tuple[Search, Save]]

ENGINES: Mapping[str, tuple[str, Build]] = {
    "usearch int8": ("usearch", lambda vectors: usearch(vectors, "i8")),
    "usearch float32": ("usearch", lambda vectors: usearch(vectors, "f32")),
    "hnswlib float32": ("hnswlib", hnswlib),
    "faiss int8": ("faiss", lambda vectors: faiss(vectors, eight_bits=True)),
    "faiss float32": ("faiss", lambda vectors: faiss(vectors, eight_bits=False)),
}


def measured(make: Build, vectors: Vectors, queries: Vectors, truth: Numbers) -> dict[str, Any]:
    """Build a graph and search it."""
    started, cpu = time.perf_counter(), time.process_time()
    search, keep = make(vectors)
    built, built_cpu = time.perf_counter() - started, time.process_time() - cpu
    cpu = time.process_time()
    found = [search(query) for query in queries]
    searched = time.process_time() - cpu
    shared = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(found, truth, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph"
        keep(str(path))
        size = path.stat().st_size
    return {
        "build_seconds": round(built, 1),
        "build_cpu_seconds": round(built_cpu, 1),
        "query_cpu_ms": round(searched / len(queries) * 1e3, 3),
        "recall@10": round(float(np.mean(shared)) / 10, 4),
        "bytes_per_vector": round(size / len(vectors)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("-m", "--model", default="edge-embed-tiny")
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--texts", type=int, help="how many are embedded; else as many as needed")
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    texts = different(options.sources, (options.texts or options.size) + _QUERIES)
    model = Embedder(options.model, variant="static" if options.static else None)
    vectors = embedded(model, texts, options.cache)
    queries, stored = vectors[:_QUERIES], vectors[_QUERIES : _QUERIES + options.size]
    truth = np.argsort(-(queries @ stored.T), axis=1)[:, :10]
    found = {}
    for name, (module, make) in ENGINES.items():
        try:
            importlib.import_module(module)
        except ImportError:
            print(f"{name}: {module} is not installed")
            continue
        found[name] = measured(make, stored, queries, truth)
        print(name, json.dumps(found[name]), flush=True)
    if options.json is not None:
        about = {"vectors": len(stored), "dim": stored.shape[1], "made by": options.model}
        result = {**about, "static": options.static, "engines": found}
        save(options.json, result, command=command_line())


if __name__ == "__main__":
    main()
