"""Measure a pair model beside the cosine, on labelled pairs that it was not trained on.

    python -m benchmarks.quality.pair_model --dev FOLDER -m edge-embed-pairs \
        --encoder edge-embed-small -o FILE.json

FOLDER has tables of label (0 or 1), sentence1, sentence2 and kind, as
``conversion/recipes/mix_pairs.py`` writes them. Average precision and the area under the curve,
times 100, of the pair model as it scores, of its reading alone, and of the encoder's cosine, and
how many pairs a second it scores.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from benchmarks.report import save
from edge_embed import Embedder, PairScorer
from edge_embed.evaluation.metrics import average_precision
from edge_embed.files.readers import read_records
from edge_embed.model.fingerprint import model_fingerprint

COLUMNS = {name: (name,) for name in ("label", "sentence1", "sentence2", "kind")}
Scores = npt.NDArray[np.float64]


def read(file: Path) -> tuple[list[tuple[str, str]], npt.NDArray[np.bool_], list[str]]:
    """Return pairs, labels and kinds of a table."""
    rows = [record.values for record in read_records(file, COLUMNS)]
    pairs = [(row["sentence1"], row["sentence2"]) for row in rows]
    return pairs, np.array([row["label"] == "1" for row in rows]), [row["kind"] for row in rows]


def figures(labels: npt.NDArray[np.bool_], scores: Scores) -> dict[str, float]:
    """Return average precision and area under the curve, times 100."""
    precision = average_precision(labels, scores)(np.ones(len(labels)))
    return {
        "average precision": round(100 * float(precision), 2),
        "area under the curve": round(100 * float(roc_auc_score(labels, scores)), 2),
    }


def measure(
    model: PairScorer, reader: PairScorer, encoder: Embedder, file: Path
) -> dict[str, object]:
    """Return the figures of a table, as a whole and by kind of pair."""
    pairs, labels, kinds = read(file)
    first, second = (
        encoder.encode([pair[side] for pair in pairs], normalize=True, truncation="ignore")
        for side in (0, 1)
    )
    cosines = np.einsum("ij,ij->i", first, second)
    scored = model.predict(pairs, activation="identity", truncation="ignore", cosines=cosines)
    alone = reader.predict(pairs, activation="identity", truncation="ignore")
    whole, reading, cosine = (x.astype(np.float64) for x in (scored, alone, cosines))
    systems = {"pair model": whole, "its reading alone": reading, "cosine": cosine}
    groups = {
        kind: np.array([kind == other for other in kinds]) for kind in sorted(set(kinds)) if kind
    }
    by_kind = {
        kind: {"pairs": int(rows.sum()), "same": int(labels[rows].sum())}
        | {name: round(float(scores[rows].mean()), 3) for name, scores in systems.items()}
        for kind, rows in groups.items()
    }
    return {
        "pairs": len(pairs),
        "same": int(labels.sum()),
        **{name: figures(labels, scores) for name, scores in systems.items()},
        "mean scores by kind": by_kind,
    }


def speed(model: PairScorer, texts: Sequence[str], rounds: int = 5) -> dict[str, float]:
    """Return pairs a second: the median, the lowest and the highest of some rounds."""
    pairs = list(zip(texts[::2], texts[1::2], strict=False))
    model.predict(pairs, truncation="ignore")
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        model.predict(pairs, truncation="ignore")
        found.append(len(pairs) / (time.perf_counter() - start))
    lengths = [len(ids) for ids in model.tokenizer.pairs(pairs).ids]
    return {
        "pairs a second": round(float(np.median(found)), 1),
        "lowest": round(min(found), 1),
        "highest": round(max(found), 1),
        "mean tokens of a pair": round(float(np.mean(lengths)), 1),
    }


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    model, encoder = PairScorer(options.model), Embedder(options.encoder)
    reader = PairScorer(options.model)
    reader.cosine = None  # its outputs alone
    if model.cosine is not None and not model.adds_cosine_of(model_fingerprint(encoder)):
        raise SystemExit(f"{options.model} adds the cosine of another encoder than --encoder")
    tables = sorted(options.dev.glob("*.tsv"))
    results: dict[str, object] = {
        file.stem: measure(model, reader, encoder, file) for file in tables
    }
    texts = [text for file in tables for pair in read(file)[0] for text in pair]
    short = [text for text in texts if 8 <= len(text.split()) <= 14][:2000]
    results["speed"] = speed(model, short)
    for name, found in results.items():
        print(name, found)
    name = Path(options.model).name
    command = f"python -m benchmarks.quality.pair_model -m {name} --encoder {options.encoder}"
    save(options.output, {"results": results}, command=command)


if __name__ == "__main__":
    main()
