"""Does a model give its published STS figures here, and if not, why?

    python -m benchmarks.quality.published_figures -m MODEL --source SOURCE DATA [DATA ...]
        [--published NAME=POINTS ...] [--tolerance POINTS] [-o FILE.json]

MODEL is a converted folder with its FP32 graph, SOURCE what it was converted from (a folder or an
installed package; sentence-transformers opens it). Each DATA is a table with score, sentence1,
sentence2, or a folder of such tables. Spearman x 100 of the FP32 graph is held against the
published figure of the same set, given with --published or known below, and against
sentence-transformers itself on the same rows. Where one differs by more than the tolerance, the two
usual causes are looked at: the precision of the arithmetic, and the version of the tokenizer. Exit
status 1 if a figure is not reproduced.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import save
from edge_embed import Embedder
from edge_embed.evaluation import StsSet
from edge_embed.evaluation.measured import Vectors
from edge_embed_conversion.sources import resolve_source

# Spearman x 100 of MTEB, and how many pairs the whole set has: a part of a set has other figures.
PUBLISHED: Mapping[str, Mapping[str, tuple[float, int]]] = {
    "all-minilm-l6-v2": {
        "sts12": (72.37, 3108),
        "sts13": (80.60, 1500),
        "sts14": (75.59, 3750),
        "sts15": (85.39, 3000),
        "sts16": (78.99, 1186),
        "stsb/test": (82.03, 1379),
        "sick/all": (77.58, 9927),
    }
}
# sentence-transformers computes in FP32 with other kernels: rounding, no more.
SAME_ROWS_TOLERANCE = 0.05


@dataclass(frozen=True)
class Figure:
    """A figure that was held against another."""

    dataset: str
    rows: int
    against: str
    expected: float
    found: float
    tolerance: float

    @property
    def reproduced(self) -> bool:
        """Whether both agree within the tolerance."""
        return abs(self.found - self.expected) <= self.tolerance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--published", nargs="*", default=[], metavar="NAME=POINTS")
    parser.add_argument("--tolerance", type=float, default=0.1)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    given = {
        name: float(points) for name, _, points in (p.partition("=") for p in options.published)
    }
    sets = [StsSet.read(path) for path in options.data]
    source = resolve_source(options.source)
    model = Embedder(options.model, variant="fp32", cache=False)
    figures = list(_figures(model, source.folder, sets, given, options))
    result: dict[str, Any] = {
        "model": Path(options.model).name,
        "figures": [{**vars(figure), "reproduced": figure.reproduced} for figure in figures],
    }
    failed = [figure for figure in figures if not figure.reproduced]
    if failed:
        texts = [text for data in sets for text in data.inputs()["text"]]
        result["causes"] = _causes(options.model, source.folder, sets, texts)
    print(json.dumps(result, indent=2))
    if options.output:
        command = f"python -m benchmarks.quality.published_figures -m {result['model']}"
        save(options.output, result, command=command)
    sys.exit(1 if failed else 0)


def _figures(
    model: Embedder,
    source: Path,
    sets: Sequence[StsSet],
    given: Mapping[str, float],
    options: argparse.Namespace,
) -> Any:  # noqa: ANN401
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(source), device="cpu")
    names = (Path(options.source).name, Path(options.model).name)
    known = next(
        (figures for key, figures in PUBLISHED.items() if any(key in _plain(n) for n in names)), {}
    )
    for data in sets:
        found = _spearman(data, model.encode(data.inputs()["text"], truncation="ignore"))
        expected = _spearman(data, theirs.encode(list(data.inputs()["text"])))
        yield Figure(
            data.name, data.rows, "sentence-transformers", expected, found, SAME_ROWS_TOLERANCE
        )
        points, rows = known.get(data.name, (None, data.rows))
        points = given.get(data.name, points)
        if points is None:
            print(f"{data.name}: no published figure is known; give --published", file=sys.stderr)
        elif rows != data.rows and data.name not in given:
            print(
                f"{data.name}: the published figure is of {rows} pairs, not of these {data.rows}",
                file=sys.stderr,
            )
        else:
            yield Figure(data.name, data.rows, "published", points, found, options.tolerance)


def _causes(
    model: str, source: Path, sets: Sequence[StsSet], texts: Sequence[str]
) -> dict[str, Any]:
    """Look at the two usual causes: what each precision gives, and whether token ids agree."""
    from transformers import AutoTokenizer

    precision: dict[str, dict[str, float]] = {}
    for variant in Embedder(model, cache=False).config.variants:
        for arithmetic in ("f32", "bf16"):
            other = Embedder(model, variant=variant, inference_precision=arithmetic, cache=False)
            precision[f"{variant}, {arithmetic} arithmetic"] = {
                data.name: _spearman(data, other.encode(data.inputs()["text"], truncation="ignore"))
                for data in sets
            }
    ours = Embedder(model, cache=False).tokenizer(list(texts)).ids
    tokenizer = AutoTokenizer.from_pretrained(source)
    limit = Embedder(model, cache=False).max_seq_length
    theirs = tokenizer(list(texts), truncation=True, max_length=limit)["input_ids"]
    differ = [t for t, a, b in zip(texts, ours, theirs, strict=True) if a.tolist() != list(b)]
    return {
        "precision": precision,
        "tokenizer": {
            "texts": len(texts),
            "with other token ids in transformers": len(differ),
            "such as": differ[:1],
        },
    }


def _spearman(data: StsSet, vectors: Vectors) -> float:
    statistic = data.measure({"text": np.asarray(vectors, np.float32)}).metrics["spearman"]
    return 100 * statistic(np.ones(data.rows))


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


if __name__ == "__main__":
    main()
