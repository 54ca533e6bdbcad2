"""Speed, quality and size of several models, as JSON and as one picture.

    python -m benchmarks.quality.speed_quality_size -m DIR -m DIR… --sts stsb/dev.tsv -o FILE.json

Speed is texts a second over all sentences of the STS file in one call, the models in turn within
each round, so that a busy machine slows them all alike; ratios are taken within a round. Quality is
the Spearman correlation of that file. Size is the graph, its .xml and .bin.

DIR:N is a model that runs with N layers (``exits.json``), drawn as an empty dot.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from benchmarks.report import save, spread
from edge_embed import Embedder
from edge_embed.evaluation.sts import StsSet


def measure(models: dict[str, Embedder], pairs: StsSet, rounds: int) -> dict[str, Any]:
    """Measure each model; ratios of speed are to the first one."""
    texts = [*pairs.first, *pairs.second]
    # Also the warm-up.
    quality = {name: 100 * pairs.spearman(model.encode(texts)) for name, model in models.items()}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            started = time.perf_counter()
            model.encode(texts)
            seconds[name].append(time.perf_counter() - started)
    first = seconds[next(iter(models))]
    return {
        name: {
            "spearman": round(quality[name], 2),
            "texts_per_second": spread([len(texts) / value for value in seconds[name]]),
            "times_the_first": spread(
                [base / value for base, value in zip(first, seconds[name], strict=True)]
            ),
            "graph_mb": round(_size(model) / 1e6, 2),
        }
        for name, model in models.items()
    }


def draw(results: dict[str, Any], title: str, path: Path) -> None:
    """Draw the models: speed to the right, quality upwards, size as the area of the dot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 5.2), layout="constrained")
    axes = figure.add_subplot()
    drawn: list[tuple[float, float]] = []
    fastest = max(found["texts_per_second"]["median"] for found in results.values())
    for name, found in results.items():
        speed, size = found["texts_per_second"], found["graph_mb"]
        x, y = speed["median"], found["spearman"]
        axes.errorbar(
            x, y, xerr=[[x - speed["min"]], [speed["max"] - x]], color="0.5", capsize=3, zorder=1
        )
        exit_ = ":" in name
        if exit_:
            axes.scatter(x, y, s=60 * size, facecolors="none", edgecolors="tab:blue", zorder=2)
        else:
            axes.scatter(x, y, s=60 * size, alpha=0.75, zorder=2)
        label = f"{name}\n" + ("" if exit_ else f"{size:.1f} MB, ") + f"{x:,.0f} texts/s, {y:.1f}"
        # Below: exits, and the second of two models at one place.
        near = any(abs(x - u) < fastest / 4 and abs(y - v) < 1 for u, v in drawn)
        offset = (0, -52 if near or exit_ else 32)
        axes.annotate(label, (x, y), offset, textcoords="offset points", ha="center", fontsize=9)
        drawn.append((x, y))
    speeds = [found["texts_per_second"]["median"] for found in results.values()]
    values = [found["spearman"] for found in results.values()]
    axes.set_xlim(0, max(speeds) * 1.3)
    axes.set_ylim(min(values) - 1.0, max(values) + 1.5)
    axes.set_xlabel("texts a second (bars: least to greatest)")
    axes.set_ylabel("STS benchmark, dev: Spearman × 100")
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def _load(name: str) -> tuple[str, Embedder]:
    """Load DIR or DIR:N; return it by the folder's name."""
    folder, _, layers = name.partition(":")
    shown = Path(folder).resolve().name + (f":{layers}" if layers else "")
    return shown, Embedder(folder, layers=int(layers) if layers else None)


def _size(model: Embedder) -> int:
    graph = model.config.variants[model.variant]
    return graph.stat().st_size + graph.with_suffix(".bin").stat().st_size


def main() -> None:
    """Measure, save, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", "--model", action="append", required=True)
    parser.add_argument("--sts", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    models = dict(map(_load, options.model))
    results = measure(models, StsSet.read(options.sts), options.rounds)
    for name, found in results.items():
        print(name, found)
    command = "python -m benchmarks.quality.speed_quality_size " + " ".join(
        f"-m {name}" for name in models
    )
    save(options.output, {"results": results}, command=command)
    variants = {model.variant.upper() for model in models.values()}
    draw(
        results,
        f"{', '.join(sorted(variants))}; the area of a dot is the size of the graph",
        options.output.with_suffix(".png"),
    )


if __name__ == "__main__":
    main()
