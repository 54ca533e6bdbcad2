"""Matching records across two files: F1 against the known matches.

    python -m benchmarks.tasks.record_linkage DATA/walmart-amazon -m MODEL --column title

The folder holds tableA and tableB (id and the column) and matches (id1, id2). A record of B is
matched with the most similar record of A, as ``edge-embed dedup -i B --against A`` does; each
threshold's precision, recall and F1 are printed, and the best is kept.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import command_line, save
from edge_embed import Embedder
from edge_embed.files.readers import read_records
from edge_embed.tasks import deduplicate


def table(folder: Path, name: str, column: str) -> dict[str, str]:
    path = next(path for path in folder.glob(f"{name}.tsv*"))
    rows = read_records(path, {"id": ("id",), "text": (column,)})
    return {row.values["id"]: row.values["text"] for row in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-m", "--model")
    parser.add_argument("--column", default="title")
    parser.add_argument("--limit", type=int, help="only the first records of B")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    known = table(options.folder, "tableA", options.column)
    new = table(options.folder, "tableB", options.column)
    new = dict(list(new.items())[: options.limit])
    pairs = read_records(options.folder / "matches.tsv", {"a": ("id1",), "b": ("id2",)})
    truth = {(row.values["a"], row.values["b"]) for row in pairs if row.values["b"] in new}
    model = Embedder(options.model)
    started = time.perf_counter()
    a, b = (
        model.encode(list(rows.values()), normalize=True, truncation="ignore")
        for rows in (known, new)
    )
    embedded = time.perf_counter()
    ids_a, ids_b = list(known), list(new)
    # At the lowest threshold nothing of B hides a match behind another record of B.
    scores = np.empty(len(b), np.float32)
    partners = np.empty(len(b), np.int64)
    for start in range(0, len(b), 4096):
        cosines = b[start : start + 4096] @ a.T
        partners[start : start + 4096] = cosines.argmax(axis=1)
        scores[start : start + 4096] = cosines.max(axis=1)
    runs: list[dict[str, Any]] = []
    for threshold in np.arange(0.6, 0.99, 0.02):
        found = {(ids_a[partners[row]], ids_b[row]) for row in np.flatnonzero(scores >= threshold)}
        hits = len(found & truth)
        precision, recall = hits / max(1, len(found)), hits / len(truth)
        runs.append(
            {
                "threshold": round(float(threshold), 2),
                "precision": round(precision, 4),
                "recall": round(recall, 4),
                "f1": round(2 * hits / (len(found) + len(truth)), 4),
            }
        )
        print(json.dumps(runs[-1]))
    best = max(runs, key=lambda run: run["f1"])
    searched = time.perf_counter()
    result = deduplicate(b, threshold=best["threshold"], against=a)
    report = {
        "known": len(known),
        "new": len(new),
        "matches": len(truth),
        "best": best,
        "removed_by_dedup": len(result.duplicates),
        "seconds": {
            "embedding": round(embedded - started, 1),
            "deduplication": round(time.perf_counter() - searched, 1),
        },
        "runs": runs,
    }
    print(json.dumps({key: value for key, value in report.items() if key != "runs"}))
    if options.json is not None:
        save(options.json, report, command=command_line())


if __name__ == "__main__":
    main()
