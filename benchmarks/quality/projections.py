"""What is kept of a model's quality when its vectors are projected to fewer dimensions?

    python -m benchmarks.quality.projections -m DIR… --fit TEXTS --data DATA -o FILE.json

Each projection is fitted on TEXTS (``edge-embed project``), which are not those that are measured.
DATA holds STS sets as tables with score, sentence1, sentence2 (stsb/dev.tsv, sts12, sts13, sts14,
sick). Figures are Spearman × 100 averaged over the sets, with 95 % of a bootstrap for the share
that is kept. A plain cut of the vectors to as many dimensions stands beside each projection.
"""

import argparse
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import save
from edge_embed import Embedder
from edge_embed.evaluation import StsSet
from edge_embed.evaluation.measured import pair_cosines
from edge_embed.evaluation.metrics import spearman
from edge_embed.files.readers import read_texts
from edge_embed.projection import Projection, sample_vectors

SETS = ("stsb/dev.tsv", "sts12", "sts13", "sts14", "sick")
SIZES = (384, 256, 128)
RESAMPLES = 300


def measure(model: Embedder, sets: list[StsSet], texts: list[str]) -> dict[str, Any]:
    """Measure the full vectors, and each size projected and cut."""
    sample = sample_vectors(model, texts, name="fit")
    vectors = [model.encode([*data.first, *data.second], normalize=True) for data in sets]
    full = _averages(vectors, sets)
    found: dict[str, Any] = {str(model.dim): {"average": round(float(full[0]), 2)}}
    for dim in SIZES:
        if dim >= model.dim:
            continue
        projection = Projection.fit(sample, dim)
        projected = _averages([projection.apply(each) for each in vectors], sets)
        cut = _averages([each[:, :dim] for each in vectors], sets)
        shares = 100 * projected[1:] / full[1:]
        found[str(dim)] = {
            "average": round(float(projected[0]), 2),
            "kept_percent": round(float(100 * projected[0] / full[0]), 2),
            "kept_interval": [round(float(np.percentile(shares, p)), 2) for p in (2.5, 97.5)],
            "cut_kept_percent": round(float(100 * cut[0] / full[0]), 2),
        }
    return found


def _averages(vectors: list[Any], sets: list[StsSet]) -> Any:  # noqa: ANN401
    """Return the average over the sets, then the same on each resample of the pairs."""
    generator = np.random.default_rng(0)
    values = []
    for each, data in zip(vectors, sets, strict=True):
        measured = spearman(pair_cosines(each), data.scores)
        weights = generator.multinomial(data.rows, [1 / data.rows] * data.rows, RESAMPLES)
        ones = np.ones(data.rows)
        values.append([100 * measured(row.astype(float)) for row in (ones, *weights)])
    return np.mean(values, axis=0)


def main() -> None:
    """Measure each model, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", "--model", type=Path, action="append", required=True)
    parser.add_argument("--fit", required=True)
    parser.add_argument("--count", type=int, default=20_000, help="texts to fit on")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    texts = list(islice(read_texts(options.fit), options.count))
    sets = [StsSet.read(options.data / path) for path in SETS]
    results = {}
    for folder in options.model:
        name = folder.resolve().name
        results[name] = measure(Embedder(folder), sets, texts)
        print(name, results[name], flush=True)
    document = {"fitted_on": f"{len(texts)} texts of {Path(options.fit).name}", "results": results}
    names = " ".join(f"-m {name}" for name in results)
    command = f"python -m benchmarks.quality.projections {names} --fit {Path(options.fit).name}"
    save(options.output, document, command=command)


if __name__ == "__main__":
    main()
