"""Choose how much an encoder's cosine weighs in what a pair model scores.

    python conversion/recipes/weigh_cosine.py MODEL DEV.tsv … --encoder edge-embed-small

Writes MODEL's ``cosine.json``: the weight, and how much the output counts where the texts have few
tokens in common. Of the settings that fall below the cosine alone on no table (or least, where all
do), the one with the highest mean average precision is taken.
The intercept puts a probability of one half where the mean balanced accuracy is best.
"""

import argparse
import itertools
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_embed import Embedder, PairScorer
from edge_embed.evaluation.metrics import average_precision
from edge_embed.files.atomic import atomic_file
from edge_embed.model.pair_config import COSINE_FILE, CosineShare
from edge_embed_conversion.pairs.files import PairTable, read_pairs

WEIGHTS = np.arange(8.0, 17.0)
OVERLAPS = ((0.1, 0.4), (0.15, 0.35), (0.15, 0.4), (0.2, 0.35), (0.2, 0.4))
LEAST = (0.1, 0.15, 0.2, 0.3, 1.0)

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """What a score is made of, for each pair of a table: all (pairs,)."""

    same: npt.NDArray[np.bool_]
    read: Scores
    cosines: Scores
    overlaps: Scores

    @classmethod
    def of(cls, table: PairTable, model: PairScorer, encoder: Embedder) -> "Parts":
        """Score a table with a model that adds no cosine, and with the encoder."""
        pairs = list(zip(table.first, table.second, strict=True))
        first, second = (
            encoder.encode(texts, normalize=True, truncation="ignore")
            for texts in (table.first, table.second)
        )
        return cls(
            table.labels > 0.5,
            model.predict(pairs, activation="identity", truncation="ignore").astype(np.float64),
            np.einsum("ij,ij->i", first, second).astype(np.float64),
            model.tokenizer.pairs(pairs).overlaps.astype(np.float64),
        )

    def combined(self, share: CosineShare) -> Scores:
        """Return the logits, (pairs,)."""
        logits = share.combined(self.read[:, None], self.cosines, self.overlaps)
        return logits[:, 0].astype(np.float64)


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
    model.cosine = None  # its outputs alone
    tables = [read_pairs([file], binary=True) for file in options.tables]
    found = [Parts.of(table, model, encoder) for table in tables]
    alone = np.array([100 * precision(parts.same, parts.cosines) for parts in found])
    tried = []
    for weight, overlap, least in itertools.product(WEIGHTS, OVERLAPS, LEAST):
        share = CosineShare(options.encoder, float(weight), 0.0, overlap, least)
        each = np.array([100 * precision(parts.same, parts.combined(share)) for parts in found])
        tried.append((min(0.0, float((each - alone).min())), float(each.mean()), share))
        names = " ".join(f"{x:.1f}" for x in each)
        sys.stderr.write(f"{weight:4.1f} {overlap} {least:4.2f} {each.mean():6.2f} | {names}\n")
    worst = max(fall for fall, _, _ in tried)
    share = max((t for t in tried if t[0] == worst), key=lambda t: t[1])[2]
    labels = [parts.same for parts in found]
    scores = [parts.combined(share) for parts in found]
    levels = np.quantile(np.concatenate(scores), np.linspace(0.01, 0.99, 197))
    accuracies = [
        np.mean([balanced_accuracy(a, b, level) for a, b in zip(labels, scores, strict=True)])
        for level in levels
    ]
    level = float(levels[int(np.argmax(accuracies))])
    facts = asdict(share) | {"intercept": round(-level, 2)}
    with atomic_file(options.model / COSINE_FILE) as file:
        file.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    sys.stderr.write(f"{facts}; mean balanced accuracy {max(accuracies):.3f}\n")


if __name__ == "__main__":
    main()
