"""How the ranking by meaning and that by words are best fused: weight and constant.

    python -m benchmarks.tasks.fusion --dev DATA/cisi --dev DATA/xquad-en \
        --test DATA/cranfield --test DATA/squad-sentences --json FILE

Reciprocal rank fusion has two numbers: a constant that is added to each rank, and how much the
ranking by meaning weighs. Both are chosen by nDCG@10 on the sets after --dev, on average, and
measured on those after --test, which have no part in it. ``DATA/NAME:SPLIT`` takes other
judgements of a set than its test ones. With --keep FOLDER vectors are stored and used again.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.report import command_line, save
from edge_embed import Embedder
from edge_embed.evaluation import RetrievalSet
from edge_embed.evaluation.metrics import ndcg
from edge_embed.evaluation.retrieval import search
from edge_embed.tasks import Index
from edge_embed.tasks.index import ranking

CONSTANTS = (5, 10, 20, 40, 60, 100)
WEIGHTS = tuple(round(0.1 * step, 1) for step in range(11))

Rankings = list[tuple[list[int], list[int]]]
"""Rows of documents for each query: by meaning, and by words."""


def vectors_of(model: Embedder, data: RetrievalSet, keep: Path | None) -> list[npt.NDArray[Any]]:
    """Return vectors of documents and queries."""
    found = []
    for role, encode, texts in (
        ("documents", model.encode_document, data.documents),
        ("queries", model.encode_query, data.queries),
    ):
        file = keep / f"{data.name.replace('/', '-')}-{role}.npy" if keep else None
        if file is not None and file.is_file():
            found.append(np.load(file)[: len(texts)])
            continue
        found.append(encode(texts, normalize=True, truncation="ignore"))
        if file is not None:
            np.save(file, found[-1])
    return found


def rankings(model: Embedder, data: RetrievalSet, keep: Path | None) -> Rankings:
    """Return the first places of both rankings, as many as a search fuses."""
    documents, queries = vectors_of(model, data, keep)
    near = search(queries, documents, depth=ranking.FUSED).tolist()
    with (
        tempfile.TemporaryDirectory() as folder,
        Index.create(Path(folder) / "words.index", dim=1) as index,
    ):
        ids = [str(row) for row in range(len(data.documents))]
        index.add(data.documents, np.ones((len(ids), 1), np.float32), ids=ids)
        # The store's numbers begin at 1 and follow the order in which texts were added.
        words = [
            [number - 1 for number in index.store.words(query, ranking.FUSED)]
            for query in data.queries
        ]
    return list(zip(near, words, strict=True))


def quality(data: RetrievalSet, found: Rankings, constant: int, weight: float) -> float:
    """Return nDCG@10 of the fused rankings; weight 1 is by meaning alone, 0 by words alone."""
    ranking.RRF, ranking.MEANING = constant, weight
    values = []
    for (near, words), judged in zip(found, data.judgements, strict=True):
        fused = ranking.fuse(near, words)
        best = sorted(fused, key=lambda row: (-fused[row], row))[:10]
        ideal = sorted(judged.values(), reverse=True)[:10]
        values.append(ndcg([judged.get(row, 0.0) for row in best], ideal))
    return float(np.mean(values))


def sets_of(names: Sequence[str], most: int) -> Iterator[RetrievalSet]:
    for name in names:
        path, _, split = name.partition(":")
        data = RetrievalSet.read(path, split=split or "test")
        yield replace(data, queries=data.queries[:most], judgements=data.judgements[:most])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", "--model")
    parser.add_argument("--dev", action="append", required=True)
    parser.add_argument("--test", action="append", default=[])
    parser.add_argument("--queries", type=int, default=1000, help="the first so many of a set")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    default = ranking.RRF, ranking.MEANING
    model = Embedder(options.model)
    found = {
        data.name: (data, rankings(model, data, options.keep))
        for data in sets_of([*options.dev, *options.test], options.queries)
    }
    dev = list(found)[: len(options.dev)]
    grid = {
        (constant, weight): {name: quality(*found[name], constant, weight) for name in dev}
        for constant in CONSTANTS
        for weight in WEIGHTS
    }
    chosen = max(grid, key=lambda pair: float(np.mean(list(grid[pair].values()))))
    named = {"dense": (60, 1.0), "words": (60, 0.0), "equal": (60, 0.5)}
    named |= {"chosen": chosen, "default": default}
    report: dict[str, Any] = {
        "model": model.config.folder.resolve().name,
        "variant": model.variant,
        "chosen": chosen,
        "default": default,
        "dev": [
            {"constant": pair[0], "weight": pair[1], "ndcg@10": _rounded(values)}
            for pair, values in grid.items()
        ],
        "ndcg@10": {
            name: _rounded({kind: quality(*found[name], *pair) for kind, pair in named.items()})
            for name in found
        },
    }
    print(json.dumps({"chosen": chosen, "ndcg@10": report["ndcg@10"]}, indent=1))
    if options.json is not None:
        save(options.json, report, command=command_line())


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


if __name__ == "__main__":
    main()
