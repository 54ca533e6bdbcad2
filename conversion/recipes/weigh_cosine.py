"""Choose how much an encoder's cosine weighs in what a pair model scores.

    python conversion/recipes/weigh_cosine.py MODEL DEV.tsv … --encoder edge-embed-small

Writes MODEL's ``cosine.json``. The weight is the largest whose mean average precision over the
tables is within 0.1 of the best: among equals the cosine counts, as it knows more kinds of text.
The intercept puts a probability of one half where the mean balanced accuracy is best.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed import Embedder, PairScorer
from edge_embed.evaluation.metrics import average_precision
from edge_embed.files.atomic import atomic_file
from edge_embed.model.pair_config import COSINE_FILE
from edge_embed_conversion.pairs.files import PairTable, read_pairs

WEIGHTS = np.arange(0, 12.5, 0.5)

Scores = npt.NDArray[np.float64]


def parts(table: PairTable, model: PairScorer, encoder: Embedder) -> tuple[Scores, Scores]:
    """Return what the model reads in each pair, and the pair's cosine; both (pairs,)."""
    pairs = list(zip(table.first, table.second, strict=True))
    first, second = (
        encoder.encode(texts, normalize=True, truncation="ignore")
        for texts in (table.first, table.second)
    )
    cosines = np.einsum("ij,ij->i", first, second)
    read = model.predict(pairs, activation="identity", truncation="ignore", cosines=cosines)
    if model.cosine is not None:
        read = read - model.cosine.share.added(cosines)[:, 0]
    return read.astype(np.float64), cosines.astype(np.float64)


def precision(labels: npt.NDArray[np.bool_], scores: Scores) -> float:
    """Return the average precision."""
    return float(average_precision(labels, scores)(np.ones(len(labels))))


def balanced_accuracy(labels: npt.NDArray[np.bool_], scores: Scores, level: float) -> float:
    """Return the mean share that is right of those that say the same and of those that do not."""
    above = scores > level
    return float((above[labels].mean() + (~above)[~labels].mean()) / 2)


def main() -> None:
    """Measure every weight, say what each gives, and write the best."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--encoder", required=True)
    options = parser.parse_args()
    model, encoder = PairScorer(options.model), Embedder(options.encoder)
    tables = [read_pairs([file], binary=True) for file in options.tables]
    labels = [table.labels > 0.5 for table in tables]
    found = [parts(table, model, encoder) for table in tables]
    means = []
    for weight in WEIGHTS:
        each = [
            100 * precision(same, read + weight * cosine)
            for same, (read, cosine) in zip(labels, found, strict=True)
        ]
        means.append(float(np.mean(each)))
        sys.stderr.write(f"{weight:4.1f} {means[-1]:6.2f} | {' '.join(f'{x:.1f}' for x in each)}\n")
    weight = float(WEIGHTS[np.flatnonzero(np.asarray(means) >= max(means) - 0.1)[-1]])
    scores = [read + weight * cosine for read, cosine in found]
    levels = np.quantile(np.concatenate(scores), np.linspace(0.01, 0.99, 197))
    accuracies = [
        np.mean([balanced_accuracy(a, b, level) for a, b in zip(labels, scores, strict=True)])
        for level in levels
    ]
    level = float(levels[int(np.argmax(accuracies))])
    facts = {"encoder": options.encoder, "weight": weight, "intercept": round(-level, 2)}
    with atomic_file(options.model / COSINE_FILE) as file:
        file.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    sys.stderr.write(f"{facts}; mean balanced accuracy {max(accuracies):.3f}\n")


if __name__ == "__main__":
    main()
