"""Measure distilled models beside their teacher, for the model cards.

    python -m benchmarks.quality.distilled_quality --data DATA --teacher DIR --student DIR…
        -o FILE.json

DATA holds stsb/dev.tsv, sts12/, sts13/, sts14/, sick/ (score, sentence1, sentence2), parade/ and
mrpc/ (label, sentence1, sentence2), banking77/train.tsv (label, text), and scifact/, cranfield/ and
squad-sentences/ in BEIR's form. They are development sets: choices are made by them as a whole, and
no sentence or score of them is trained on.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import v_measure_score
from sklearn.model_selection import StratifiedKFold, cross_val_score

from benchmarks.report import save
from edge_embed import Embedder
from edge_embed.evaluation.measured import pair_cosines
from edge_embed.evaluation.metrics import average_precision, best_f1
from edge_embed.evaluation.pairs import PairSet
from edge_embed.evaluation.retrieval import RetrievalSet
from edge_embed.evaluation.sts import StsSet
from edge_embed.files.readers import read_records
from edge_embed.tasks import cluster

Encode = Callable[[list[str]], npt.NDArray[Any]]

RETRIEVAL = {"SciFact": "scifact", "Cranfield": "cranfield", "SQuAD": "squad-sentences"}
AVERAGED = ("STS12", "STS13", "STS14", "SICK")


def measure(encode: Encode, data: Path) -> dict[str, float]:
    """Return every figure of the card, times 100."""
    figures: dict[str, float] = {}
    sets = {"STSb dev": "stsb/dev.tsv", "STS12": "sts12", "STS13": "sts13", "STS14": "sts14"}
    for name, path in {**sets, "SICK": "sick"}.items():
        pairs = StsSet.read(data / path)
        figures[name] = 100 * pairs.spearman(encode([*pairs.first, *pairs.second]))
    figures["average of STS12-14 and SICK"] = float(np.mean([figures[n] for n in AVERAGED]))
    for name, path in {"PARADE": "parade", "MRPC": "mrpc"}.items():
        labelled = PairSet.read(data / path)
        cosines = pair_cosines(encode([*labelled.first, *labelled.second]))
        every = np.ones(labelled.rows)
        figures[f"{name} F1"] = 100 * best_f1(labelled.labels, cosines)(every)
        figures[f"{name} AP"] = 100 * average_precision(labelled.labels, cosines)(every)
    for name, path in RETRIEVAL.items():
        judged = RetrievalSet.read(data / path)
        vectors = {role: encode(list(texts)) for role, texts in judged.inputs().items()}
        ndcg = judged.measure(vectors).metrics["ndcg@10"]
        figures[f"{name} nDCG@10"] = 100 * ndcg(np.ones(judged.rows))
    figures |= banking77(encode, data / "banking77" / "train.tsv")
    return {name: round(value, 2) for name, value in figures.items()}


def banking77(encode: Encode, file: Path) -> dict[str, float]:
    """Return, times 100, what two uses of unit vectors reach on intents.

    The accuracy of logistic regression, 5-fold, and the v-measure of ``cluster``.
    """
    columns = {"label": ("label",), "text": ("text",)}
    rows = [record.values for record in read_records(file, columns)]
    vectors = encode([row["text"] for row in rows])
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.asarray([row["label"] for row in rows])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    # Unit vectors are small numbers: at C=1 every model here is held back by the penalty.
    classifier = LogisticRegression(C=30, max_iter=300)
    accuracy = cross_val_score(classifier, vectors, labels, cv=folds).mean()
    found = v_measure_score(labels, cluster(vectors).labels)
    return {"BANKING77 accuracy": 100 * float(accuracy), "BANKING77 v-measure": 100 * float(found)}


def main() -> None:
    """Measure the teacher's FP32, each student's FP32 and INT8; print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--student", type=Path, action="append", required=True)
    parser.add_argument(
        "--variant", action="append", choices=("fp32", "int8"), help="only these; else both"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    folders: list[Path] = [options.teacher, *options.student]
    variants = [
        (folder, variant) for folder in folders for variant in options.variant or ("fp32", "int8")
    ]
    results = {}
    for folder, variant in variants:
        name = f"{folder.resolve().name} {variant}"
        results[name] = measure(Embedder(folder, variant=variant).encode, options.data)
        print(name, results[name], flush=True)
    names = " ".join(f"--student {folder.resolve().name}" for folder in options.student)
    names += "".join(f" --variant {variant}" for variant in options.variant or ())
    command = (
        f"python -m benchmarks.quality.distilled_quality --teacher {options.teacher.name} {names}"
    )
    save(options.output, {"results": results}, command=command)
    print("| measure | " + " | ".join(results) + " |")
    print("|---|" + "---|" * len(results))
    for figure in next(iter(results.values())):
        print(f"| {figure} | " + " | ".join(f"{r[figure]:.1f}" for r in results.values()) + " |")


if __name__ == "__main__":
    main()
