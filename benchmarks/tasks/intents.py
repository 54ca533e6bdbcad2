"""Clusters against true labels, beside k-means that is told their number and community_detection.

    python -m benchmarks.tasks.intents DATA/banking77 DATA/snips -m MODEL --json FILE

V-measure (outliers are one cluster of their own), seconds, and the number of clusters found.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import v_measure_score

from benchmarks.report import command_line, save
from edge_embed import Embedder
from edge_embed.evaluation import ClusterSet
from edge_embed.tasks import cluster

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


def ours(vectors: Floats, _: int) -> Labels:
    return cluster(vectors).labels


def without_threshold(vectors: Floats, _: int) -> Labels:
    return cluster(vectors, threshold=-1).labels


def k_means(vectors: Floats, count: int) -> Labels:
    model = MiniBatchKMeans(count, batch_size=512, n_init="auto", random_state=0)
    return np.asarray(model.fit_predict(vectors), np.int64)


def community_detection(vectors: Floats, _: int) -> Labels:
    from sentence_transformers.util import community_detection as detect

    labels = np.full(len(vectors), -1, np.int64)
    for number, rows in enumerate(detect(vectors, threshold=0.75, min_community_size=5)):
        labels[rows] = number
    return labels


SYSTEMS: dict[str, Callable[[Floats, int], Labels]] = {
    "edge_embed": ours,
    "edge_embed, no outliers": without_threshold,
    "MiniBatchKMeans, true k": k_means,
    "community_detection 0.75": community_detection,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("-m", "--model")
    parser.add_argument("--limit", type=int, help="only the first texts of each set")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = Embedder(options.model)
    results: list[dict[str, Any]] = []
    for path in options.data:
        data = ClusterSet.read(path)
        texts, truth = data.texts[: options.limit], data.labels[: options.limit]
        vectors = model.encode(texts, normalize=True, truncation="ignore")
        for name, system in SYSTEMS.items():
            started = time.perf_counter()
            labels = system(vectors, len(np.unique(truth)))
            results.append(
                {
                    "dataset": data.name,
                    "system": name,
                    "v_measure": round(float(v_measure_score(truth, labels)), 4),
                    "clusters": int(labels.max()) + 1,
                    "true_clusters": len(np.unique(truth)),
                    "outliers": round(float(np.mean(labels < 0)), 4),
                    "seconds": round(time.perf_counter() - started, 2),
                }
            )
            print(json.dumps(results[-1]))
    if options.json is not None:
        save(options.json, {"results": results}, command=command_line())


if __name__ == "__main__":
    main()
