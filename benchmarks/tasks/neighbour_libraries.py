"""Why the neighbour search is as it is: products, an inverted file, usearch and faiss compared.

    python -m benchmarks.tasks.neighbour_libraries vectors.npy --rows 15000 --threshold 0.8

Processor seconds (all threads), recall@10 of single queries, and recall of the pairs above a
threshold, on float32 vectors of unit length. Libraries that are not installed are left out.
"""

import argparse
import importlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.report import command_line, save
from edge_embed.tasks.neighbours import LinkSearch
from edge_embed.tasks.vectors import Rows, unit_rows

Floats = npt.NDArray[np.float32]
_QUERIES = 500


def processor(function: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    return function(), round(time.process_time() - started, 3)


def recall(found: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    hits = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(found, truth, strict=True)]
    return round(sum(hits) / truth.size, 4)


def all_pairs(vectors: Floats, threshold: float) -> list[dict[str, Any]]:
    results, truth = [], 0
    for name, exact in (("products", True), ("inverted file", False)):
        search = LinkSearch(Rows(vectors), np.arange(len(vectors)), threshold, exact=exact)
        links, seconds = processor(lambda s=search: sum(len(part) for _, part in s))  # type: ignore[misc]
        truth = truth or links
        results.append(
            {"pairs by": name, "links": links, "recall": links / max(1, truth), "cpu_s": seconds}
        )
    return results


def with_usearch(vectors: Floats, queries: Floats, truth: npt.NDArray[Any]) -> list[dict[str, Any]]:
    results = []
    usearch = importlib.import_module("usearch.index")
    for kind in ("f32", "i8"):
        graph = usearch.Index(
            ndim=vectors.shape[1], metric="cos", dtype=kind, connectivity=16, expansion_add=128
        )
        _, built = processor(lambda g=graph: g.add(np.arange(len(vectors)), vectors))  # type: ignore[misc]
        for expansion in (32, 64, 128):
            graph.expansion_search = expansion
            found, seconds = processor(lambda g=graph: g.search(queries, 10).keys)  # type: ignore[misc]
            results.append(
                {
                    "search by": f"usearch {kind}, expansion {expansion}",
                    "build_cpu_s": built,
                    "cpu_s": seconds,
                    "recall@10": recall(np.asarray(found), truth),
                }
            )
    return results


def with_faiss(vectors: Floats, queries: Floats, truth: npt.NDArray[Any]) -> list[dict[str, Any]]:
    results = []
    faiss = importlib.import_module("faiss")
    dim, inner = vectors.shape[1], faiss.METRIC_INNER_PRODUCT
    graph = faiss.IndexHNSWFlat(dim, 16, inner)
    graph.hnsw.efConstruction, graph.hnsw.efSearch = 128, 64
    cells = int(np.sqrt(len(vectors)))
    inverted = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, cells, inner)
    inverted.nprobe = 16
    for name, index in (("faiss HNSW", graph), (f"faiss IVF, 16 of {cells}", inverted)):

        def build(index: Any = index) -> None:  # noqa: ANN401
            if not index.is_trained:
                index.train(vectors)
            index.add(vectors)

        _, built = processor(build)
        found, seconds = processor(lambda i=index: i.search(queries, 10)[1])  # type: ignore[misc]
        results.append(
            {
                "search by": name,
                "build_cpu_s": built,
                "cpu_s": seconds,
                "recall@10": recall(found, truth),
            }
        )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    vectors = unit_rows(np.load(options.vectors)[: options.rows])
    chosen = np.random.default_rng(0).choice(len(vectors), min(_QUERIES, len(vectors)), False)
    queries = vectors[chosen]
    truth = np.argpartition(-(queries @ vectors.T), 10, axis=1)[:, :10]
    results = all_pairs(vectors, options.threshold)
    for system in (with_usearch, with_faiss):
        try:
            results += system(vectors, queries, truth)
        except ImportError as error:
            print(f"left out: {error}")
    for result in results:
        print(json.dumps(result))
    if options.json is not None:
        report = {"rows": len(vectors), "queries": len(queries), "results": results}
        save(options.json, report, command=command_line())


if __name__ == "__main__":
    main()
