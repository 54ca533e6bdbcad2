"""What does each way to quantize cost in quality, and what does it gain in speed and size?

    python -m benchmarks.quantization.study -m MODEL --data DIR -o FILE.json [--recipes NAME ...]
        [--retrieval SET ...] [--clustering SET ...]
        [--outliers FACTOR] [--limit PAIRS] [--resamples N] [--work DIR] [--no-speed]

MODEL is a converted folder with its FP32 graph. --data holds STS sets as tables with score,
sentence1, sentence2 (stsb/dev.tsv, sts12/, sts13/, sts14/, sick/) and film reviews for the recipe
of sentence-transformers (corpora/movie-reviews-subj-cr.txt.gz). --retrieval and --clustering name
sets in it to be measured as well, such as scifact and banking77: a recipe that keeps similarities
may lose neighbours. --outliers first makes the model hard to quantize: eight value channels of each
attention are multiplied by FACTOR and divided again where they are read, which changes ranges but
not the function. The processor's instructions can be limited with ONEDNN_MAX_CPU_ISA. Results are
kept after every recipe; recipes that FILE.json holds already are not run again, but timed anew; of
FP32 and of converted folders what it lacks is measured. A table is written beside it as FILE.md.
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from benchmarks.quantization.recipes import RECIPES, Recipe, pad, quantized
from benchmarks.quantization.table import write_table
from benchmarks.report import save, spread
from edge_embed import Embedder
from edge_embed.evaluation import (
    Bootstrap,
    ClusterSet,
    RetrievalSet,
    StsSet,
    System,
    compare,
    embedder_system,
)
from edge_embed.evaluation.measured import Dataset, Role, Vectors
from edge_embed.files.readers import read_texts
from edge_embed.model.config import VARIANTS
from edge_embed.model.file_names import PAIR_THRESHOLD, RANGES_FILE, RECEIPT
from edge_embed_conversion.calibration import TextSet, model_inputs, shipped_texts
from edge_embed_conversion.equalize import scale_values, value_paths
from edge_embed_conversion.export import read_graph, save_graph
from edge_embed_conversion.fidelity import EvaluationSet
from edge_embed_conversion.quantize import ModelInputs

SETS = ("stsb/dev.tsv", "sts12", "sts13", "sts14", "sick")
REVIEWS = "corpora/movie-reviews-subj-cr.txt.gz"
OUTLIER_CHANNELS = 8
# What is copied beside the graph; not what was fitted on the model's own weights.
_SMALL = (".json", ".txt", ".model", ".md")
_OTHERS = (RECEIPT, RANGES_FILE, PAIR_THRESHOLD)
SPEED_TEXTS = 1000
REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--converted", nargs="+", type=Path, metavar="DIR", default=[], help="folders as they are"
    )
    parser.add_argument("--recipes", nargs="*", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--retrieval", nargs="+", metavar="SET", default=[])
    parser.add_argument("--clustering", nargs="+", metavar="SET", default=[])
    parser.add_argument("--clusterings", type=int, default=60, help="of each set")
    parser.add_argument("--outliers", type=float)
    parser.add_argument("--limit", type=int, help="pairs of each set")
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--no-speed", action="store_true", help="leave timing to a later run")
    parser.add_argument("--work", type=Path, default=Path("quantization-work"))
    options = parser.parse_args()
    study = Study(options)
    study.run()
    study.compare()
    if not options.no_speed:
        study.time()


class Study:
    """One model, its FP32 vectors, and the recipes one after another."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        name = options.model.resolve().name
        if options.outliers:
            name += f" x{options.outliers:g}"
        self._name = name
        self._work = options.work / name.replace(" ", "-")
        self._bootstrap = Bootstrap(resamples=options.resamples)
        self._sets = [_limited(StsSet.read(options.data / path), options.limit) for path in SETS]
        self._others: Mapping[str, tuple[str, Sequence[Dataset]]] = {
            "retrieval": (
                "ndcg@10",
                [RetrievalSet.read(options.data / path) for path in options.retrieval],
            ),
            "clustering": (
                "v_measure",
                [
                    replace(ClusterSet.read(options.data / path), clusterings=options.clusterings)
                    for path in options.clustering
                ],
            ),
        }
        self._memo: dict[int, Vectors] = {}
        self._results: dict[str, Any] = {}
        if options.output.exists():
            self._results = json.loads(options.output.read_text())["recipes"]

    def run(self) -> None:
        """Run every recipe that has no result yet."""
        graph = read_graph(self._options.model / VARIANTS["fp32"])
        if self._options.outliers:
            _add_outliers(graph, self._options.outliers)
        reference = self._folder("fp32")
        save_graph(graph, reference / VARIANTS["fp32"])
        fp32 = Embedder(reference, variant="fp32", cache=False)
        self._fp32_model = fp32
        self._fp32 = System("fp32", self._remembered(fp32), {})
        if self._lacks("fp32"):
            self._keep("fp32", {"what": "the source", **self._measure(fp32, "fp32")})
        for converted in self._options.converted:
            name = f"{converted.name} as it is"
            if self._lacks(name):
                model = Embedder(converted, variant="int8", cache=False)
                self._keep(name, {"what": "a converted folder", **self._measure(model, name)})
        for name in self._options.recipes:
            if name in self._results:
                continue
            start = time.perf_counter()
            recipe = RECIPES[name]
            int8 = quantized(graph, recipe, self._samples(fp32, recipe))
            seconds = time.perf_counter() - start
            variant = "w8" if recipe.weights_only else "int8"
            folder = self._folder(name)
            save_graph(int8, folder / VARIANTS[variant])
            model = Embedder(folder, variant=variant, cache=False)
            measured = self._measure(model, name)
            self._keep(
                name, {"what": recipe.what, "quantize_seconds": round(seconds, 1), **measured}
            )

    def _measure(self, model: Embedder, name: str) -> dict[str, Any]:
        systems = [self._fp32]
        if name != "fp32":
            system = embedder_system(model, name=name)
            systems.append(System(name, system.embed, {}))
        found = {task: self._results.get(name, {}).get(task) for task in ("quality", *self._others)}
        found["quality"] = found["quality"] or self._kept(systems, self._sets, "spearman")
        for task, (metric, sets) in self._others.items():
            if sets and not found[task]:
                found[task] = self._kept(systems, sets, metric)
        xml = model.config.variant_file(model.variant)[1]
        megabytes = round(xml.with_suffix(".bin").stat().st_size / 1e6, 2)
        return {"megabytes": megabytes} | {task: there for task, there in found.items() if there}

    def _lacks(self, name: str) -> bool:
        """Return whether something was not measured yet."""
        there = self._results.get(name, {})
        wanted = ["quality", *(task for task, (_, sets) in self._others.items() if sets)]
        return any(task not in there for task in wanted)

    def _kept(
        self, systems: Sequence[System], sets: Sequence[Dataset], metric: str
    ) -> dict[str, Any]:
        """Measure the last system on each set: its figure, and the difference to FP32's."""
        found = {}
        for result in compare(sets, systems, bootstrap=self._bootstrap):
            if result.system == systems[-1].name:
                points = {metric: vars(result.metrics[metric])}
                if result.differences:
                    points["difference"] = vars(result.differences[metric])
                found[result.dataset] = points
        return found

    def compare(self) -> None:
        """Compare vectors with the reference's as the receipt does, where that is still missing."""
        evaluation = EvaluationSet.shipped()
        texts = evaluation.all_texts
        reference = self._fp32_model.encode(texts, truncation="ignore")
        for name, result in self._results.items():
            folder = self._work / name.replace(" ", "-")
            if name == "fp32" or "fidelity" in result or not folder.is_dir():
                continue
            vectors = Embedder(folder, cache=False).encode(texts, truncation="ignore")
            result["fidelity"] = vars(evaluation.compare(vectors, reference))
        self._save()

    def time(self) -> None:
        """Time all recipes in interleaved rounds, so that a busy machine slows them alike."""
        models = {
            name: Embedder(self._work / name.replace(" ", "-"), cache=False)
            for name in self._results
            if (self._work / name.replace(" ", "-")).is_dir()
        }
        texts = list(dict.fromkeys(self._sets[0].inputs()["text"]))[:SPEED_TEXTS]
        rounds: dict[str, list[float]] = {name: [] for name in models}
        for number in range(REPEATS + 1):
            for name, model in models.items():
                start = time.perf_counter()
                model.encode(texts, truncation="ignore")
                if number:  # the first round warms up
                    rounds[name].append(len(texts) / (time.perf_counter() - start))
        for name, values in rounds.items():
            self._results[name]["texts_per_second"] = spread(values)
        self._save()

    def _keep(self, name: str, result: dict[str, Any]) -> None:
        self._results[name] = result
        self._save()
        average = result["quality"]["average"]["spearman"]["value"]
        print(f"{self._name}, {name}: average Spearman {100 * average:.2f}", flush=True)

    def _save(self) -> None:
        options = self._options
        command = f"python -m benchmarks.quantization.study -m {options.model.name}"
        document = {
            "model": self._name,
            "outliers": options.outliers,
            "limit": options.limit,
            "isa": os.environ.get("ONEDNN_MAX_CPU_ISA", "all"),
            "pairs": {data.name: data.rows for data in self._sets},
            "recipes": self._results,
        }
        save(options.output, document, command=command)
        write_table(document, options.output.with_suffix(".md"))

    def _samples(self, model: Embedder, recipe: Recipe) -> list[ModelInputs]:
        if recipe.texts == "ordinary":
            texts = shipped_texts("calibration").texts
        else:
            texts = tuple(islice(read_texts(self._options.data / REVIEWS), 3000))[::10]
        if recipe.count is not None:
            texts = texts[:: max(1, len(texts) // recipe.count)][: recipe.count]
        graph = read_graph(self._options.model / VARIANTS["fp32"])
        names = frozenset(port.get_any_name() for port in graph.inputs)
        samples = model_inputs(model.config, TextSet(recipe.texts, texts), names)
        if recipe.padded is None:
            return samples
        width = min(recipe.padded, model.max_seq_length)
        return [pad(sample, width, model.config.pad_token_id) for sample in samples]

    def _folder(self, name: str) -> Path:
        """Make a model folder with copies of all files but graphs and weights."""
        folder: Path = self._work / name.replace(" ", "-")
        (folder / "openvino").mkdir(parents=True, exist_ok=True)
        for path in self._options.model.resolve().iterdir():
            if path.is_dir() and path.name != "openvino":
                shutil.copytree(path, folder / path.name, dirs_exist_ok=True)
            elif path.is_file() and path.name not in _OTHERS and path.suffix in _SMALL:
                shutil.copyfile(path, folder / path.name)
        return folder

    def _remembered(self, model: Embedder) -> Any:  # noqa: ANN401
        """Embed each set once: the reference is compared with every recipe."""
        embed = embedder_system(model).embed

        def remembered(texts: Any, role: Role) -> Vectors:  # noqa: ANN401
            key = hash(tuple(texts))
            if key not in self._memo:
                self._memo[key] = embed(texts, role)
            return self._memo[key]

        return remembered


def _limited(data: StsSet, limit: int | None) -> StsSet:
    """Take ``limit`` pairs at equal distances."""
    if limit is None or limit >= data.rows:
        return data
    rows = np.linspace(0, data.rows - 1, limit).astype(int)
    first, second = ([side[row] for row in rows] for side in (data.first, data.second))
    return StsSet(data.name, first, second, data.scores[rows])


def _add_outliers(graph: ov.Model, factor: float) -> None:
    for number, path in enumerate(value_paths(graph)):
        channels = path.value_weight.get_output_shape(0)[0]
        chosen = np.random.default_rng(number).choice(channels, OUTLIER_CHANNELS, replace=False)
        factors = np.ones(channels, np.float32)
        factors[chosen] = factor
        scale_values(path, factors)


if __name__ == "__main__":
    main()
