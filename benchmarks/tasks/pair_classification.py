"""Yes or no for given pairs, beside sentence-transformers with the same model.

    python -m benchmarks.tasks.pair_classification DATA/parade/validation.tsv -m MODEL
        --source CHECKPOINT

Average precision of the cosines, and F1 by cross-validation: a threshold is fitted on four fifths
of the pairs and judged on the rest. Both systems use the same folds.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedKFold

from benchmarks.report import command_line, save
from edge_embed import Embedder
from edge_embed.evaluation import PairSet
from edge_embed.evaluation.measured import pair_cosines
from edge_embed.evaluation.metrics import average_precision, best_f1_threshold

Floats = npt.NDArray[np.float64]
Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]


def embed_with(model: Embedder) -> Embed:
    return lambda texts: model.encode(texts, truncation="ignore")


def embed_with_torch(source: str) -> Embed:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(source, device="cpu")
    return lambda texts: np.asarray(model.encode(list(texts)))


def cross_validated_f1(labels: npt.NDArray[np.bool_], cosines: Floats) -> list[float]:
    """Return F1 on each fold, with the threshold of the other folds."""
    scores = []
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for fitted, judged in folds.split(cosines[:, None], labels):
        weights = np.ones(len(fitted))
        threshold = best_f1_threshold(labels[fitted], cosines[fitted])(weights)
        taken, true = cosines[judged] >= threshold, labels[judged]
        scores.append(2 * float(np.sum(taken & true)) / float(np.sum(taken) + np.sum(true)))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("-m", "--model")
    parser.add_argument("--source", help="the checkpoint, for sentence-transformers in torch")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = Embedder(options.model)
    systems = {f"edge_embed {model.variant}": embed_with(model)}
    if options.source:
        systems["sentence-transformers torch"] = embed_with_torch(options.source)
    results: list[dict[str, Any]] = []
    for path in options.data:
        pairs = PairSet.read(path)
        for name, encode in systems.items():
            cosines = pair_cosines(encode([*pairs.first, *pairs.second]))
            f1 = cross_validated_f1(pairs.labels, cosines)
            precision = average_precision(pairs.labels, cosines)(np.ones(pairs.rows))
            results.append(
                {
                    "dataset": pairs.name,
                    "pairs": pairs.rows,
                    "system": name,
                    "average_precision": round(precision, 4),
                    "f1": round(float(np.mean(f1)), 4),
                    "f1_of_folds": [round(value, 4) for value in f1],
                }
            )
            print(json.dumps(results[-1]), flush=True)
    if options.json is not None:
        save(
            options.json,
            {"model": model.config.folder.name, "results": results},
            command=command_line(),
        )


if __name__ == "__main__":
    main()
