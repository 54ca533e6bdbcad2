"""Deduplication against planted near-duplicates, stage by stage, beside semhash.

    python -m benchmarks.tasks.near_duplicates texts.txt planted.jsonl --lines 100000 ...
    python -m benchmarks.tasks.deduplication planted.jsonl -m MODEL --json FILE

Precision, recall and F1 count removed rows against planted ones, which come last in the file; what
the corpus repeats by itself counts against precision, for every system alike. All systems get the
same vectors, so their times are those of the search and the choice alone.
"""

import argparse
import importlib
import json
import resource
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.report import command_line, save
from edge_embed import Embedder
from edge_embed.tasks import TextKeys, deduplicate
from edge_embed.tasks.neighbours import LinkSearch
from edge_embed.tasks.vectors import Rows


def measured(
    removed: set[int], kinds: Sequence[str], seconds: float, **more: object
) -> dict[str, Any]:
    planted = {row for row, kind in enumerate(kinds) if kind}
    hits = len(removed & planted)
    precision, recall = hits / max(1, len(removed)), hits / max(1, len(planted))
    totals = Counter(kind for kind in kinds if kind)
    found = Counter(kinds[row] for row in removed & planted)
    return {
        "removed": len(removed),
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1": round(2 * precision * recall / max(1e-9, precision + recall), 4),
        "recall_of": {kind: round(found[kind] / totals[kind], 4) for kind in sorted(totals)},
        "seconds": round(seconds, 2),
        **more,
    }


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    return function(), time.perf_counter() - started


def link_recall(vectors: npt.NDArray[np.float32], threshold: float) -> dict[str, Any]:
    """Count the links that the inverted file finds of those that comparing all pairs finds."""
    pairs: dict[bool, set[tuple[int, int]]] = {}
    seconds = {}
    for exact in (True, False):
        search = LinkSearch(Rows(vectors), np.arange(len(vectors)), threshold, exact=exact)
        started = time.perf_counter()
        parts = [links for _, links in search]
        seconds[exact] = time.perf_counter() - started
        pairs[exact] = {
            pair
            for part in parts
            for pair in zip(part.left.tolist(), part.right.tolist(), strict=True)
        }
    both = len(pairs[True] & pairs[False])
    return {
        "links": len(pairs[True]),
        "recall": round(both / max(1, len(pairs[True])), 5),
        "exact_seconds": round(seconds[True], 2),
        "cells_seconds": round(seconds[False], 2),
    }


def with_semhash(
    texts: Sequence[str], vectors: npt.NDArray[np.float32], threshold: float
) -> tuple[set[int], float]:
    """Deduplicate with semhash on the same vectors.

    Raises:
        ImportError: semhash is not installed.
    """
    semhash = importlib.import_module("semhash")
    row = {text: number for number, text in enumerate(texts)}

    class Given:
        def encode(self, inputs: Sequence[str], **_: object) -> npt.NDArray[np.float32]:
            return vectors[[row[text] for text in inputs]]

    result, seconds = timed(
        lambda: semhash.SemHash.from_records(list(texts), model=Given()).self_deduplicate(
            threshold=threshold
        )
    )
    kept = {row[text] for text in result.selected}
    return set(range(len(texts))) - kept, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("planted", type=Path)
    parser.add_argument("-m", "--model")
    parser.add_argument("--threshold", type=float, action="append")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--vectors", type=Path, help="keep the vectors here (.npy)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    records = [json.loads(line) for line in options.planted.open(encoding="utf-8")]
    texts, kinds = ([record[name] for record in records] for name in ("text", "kind"))

    def normal_forms() -> npt.NDArray[np.int64]:
        keys = TextKeys()
        for text in texts:
            keys.add(text)
        return keys.groups

    groups, normal_seconds = timed(normal_forms)
    own = np.flatnonzero(groups == np.arange(len(texts)))
    exact = set(range(len(texts))) - set(own.tolist())
    embed_seconds = None
    if options.vectors is not None and options.vectors.exists():
        vectors = np.load(options.vectors)
    else:
        model = Embedder(options.model, threads=options.threads)
        vectors, embed_seconds = timed(
            lambda: model.encode(texts, normalize=True, truncation="ignore")
        )
        if options.vectors is not None:
            np.save(options.vectors, vectors)
    runs = []
    for threshold in options.threshold or (0.8, 0.85, 0.9, 0.95):
        for name, all_pairs in (("edge_embed", None), ("edge_embed, inverted file", False)):
            started = time.perf_counter()
            result = deduplicate(vectors[own], threshold=threshold, exact=all_pairs)
            seconds = time.perf_counter() - started
            removed = exact | {int(own[pair.row]) for pair in result.duplicates}
            facts = measured(removed, kinds, seconds, complete=result.complete)
            runs.append({"system": name, "threshold": threshold} | facts)
        try:
            removed, seconds = with_semhash(texts, vectors, threshold)
            runs.append(
                {"system": "semhash", "threshold": threshold} | measured(removed, kinds, seconds)
            )
        except ImportError:
            print("semhash is not installed: left out")
    for run in runs:
        print(json.dumps(run))
    report = {
        "texts": len(texts),
        "planted": sum(bool(kind) for kind in kinds),
        "exact_duplicates": len(exact),
        "seconds": {"normal_forms": round(normal_seconds, 2), "embedding": embed_seconds},
        "links": {str(t): link_recall(vectors[own], t) for t in (0.8, 0.9)},
        "runs": runs,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(report["links"]), report["seconds"], report["peak_memory_mb"])
    if options.json is not None:
        save(options.json, report, command=command_line())


if __name__ == "__main__":
    main()
