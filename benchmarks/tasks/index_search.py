"""The index at size: time of a query, recall of the approximate search, and ranking quality.

    python -m benchmarks.tasks.index_search texts.txt.gz -m MODEL --lines 100000
    python -m benchmarks.tasks.index_search -m MODEL --retrieval DATA/scifact

The first measures a query with its embedding against the embedding alone, and recall@10 against
comparing every vector. The second measures nDCG@10 by vectors, by words (BM25) and by both.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.report import command_line, save, spread
from benchmarks.tasks.near_duplicates import read_lines
from edge_embed import Embedder
from edge_embed.evaluation import RetrievalSet
from edge_embed.evaluation.metrics import ndcg
from edge_embed.tasks import Index

_CHUNK = 4096
_QUERIES = 300


def filled(
    path: Path, texts: Sequence[str], vectors: npt.NDArray[np.float32], ids: Sequence[str]
) -> Index:
    index = Index.create(path, dim=vectors.shape[1])
    for start in range(0, len(texts), _CHUNK):
        part = slice(start, start + _CHUNK)
        index.add(texts[part], vectors[part], ids=ids[part])
    index.refresh()
    return index


def at_size(model: Embedder, texts: Sequence[str], folder: Path) -> dict[str, Any]:
    stored, asked = texts[:-_QUERIES], texts[-_QUERIES:]
    vectors = model.encode(stored, normalize=True, truncation="ignore")
    started = time.perf_counter()
    ids = [str(number) for number in range(len(stored))]
    with filled(folder / "size.index", stored, vectors, ids) as index:
        build = time.perf_counter() - started
        queries = model.encode(asked, normalize=True, truncation="ignore")
        truth = index.search(queries, k=10, exact=True)
        index.search(queries[:1])
        single = Embedder(model.config.folder, hint="latency", variant=model.variant)
        for text in asked[:20]:
            single.encode(text)
        alone, whole, hits = [], [], []
        for text in asked:
            begun = time.perf_counter()
            vector = single.encode(text)
            embedded = time.perf_counter()
            hits.append(index.search(vector[None], k=10)[0])
            alone.append(embedded - begun)
            whole.append(time.perf_counter() - begun)
        found = [
            len({hit.id for hit in a} & {hit.id for hit in b}) / 10
            for a, b in zip(truth, hits, strict=True)
        ]
        return {
            "texts": len(stored),
            "recall@10": round(float(np.mean(found)), 4),
            "embedding_seconds": spread(alone),
            "query_seconds": spread(whole),
            "ratio_of_medians": round(float(np.median(whole) / np.median(alone)), 3),
            "build_seconds": round(build, 1),
            "info": vars(index.info()),
        }


def ranking(model: Embedder, data: RetrievalSet, folder: Path) -> dict[str, Any]:
    documents = model.encode_document(data.documents, normalize=True, truncation="ignore")
    queries = model.encode_query(data.queries, normalize=True, truncation="ignore")
    ids = [str(number) for number in range(len(data.documents))]
    scores: dict[str, float] = {}
    with filled(folder / "rank.index", data.documents, documents, ids) as index:
        found = {
            "dense": [[int(h.id) for h in hits] for hits in index.search(queries, exact=True)],
            # The store's numbers begin at 1 and follow the order in which texts were added.
            "bm25": [[n - 1 for n in index._store.words(q, 10)] for q in data.queries],
            "hybrid": [
                [int(h.id) for h in hits]
                for hits in index.search(queries, queries=data.queries, exact=True)
            ],
        }
    for name, rankings in found.items():
        values = [
            ndcg([judged.get(row, 0.0) for row in rows], sorted(judged.values(), reverse=True)[:10])
            for rows, judged in zip(rankings, data.judgements, strict=True)
        ]
        scores[name] = round(float(np.mean(values)), 4)
    return {"dataset": data.name, "documents": len(data.documents), "ndcg@10": scores}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, nargs="?")
    parser.add_argument("-m", "--model")
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--retrieval", type=Path, action="append", default=[])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = Embedder(options.model)
    report: dict[str, Any] = {"retrieval": []}
    with tempfile.TemporaryDirectory() as folder:
        if options.source is not None:
            texts = read_lines(options.source, options.lines + _QUERIES)
            report["size"] = at_size(model, texts, Path(folder))
            print(json.dumps(report["size"]))
        for path in options.retrieval:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                report["retrieval"].append(ranking(model, RetrievalSet.read(path), Path(own)))
                print(json.dumps(report["retrieval"][-1]))
    if options.json is not None:
        save(options.json, report, command=command_line())


if __name__ == "__main__":
    main()
