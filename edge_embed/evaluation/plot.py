"""Plot results: a point with its interval for each model and dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_embed.evaluation.compare import Result
from edge_embed.files.figures import require_matplotlib, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot"]


def plot(results: Sequence[Result], path: Path) -> None:
    """Plot the first measure of each result, and reliability curves if any, to a PNG file.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    curves = [result for result in results if result.details.get("reliability")]
    height = 1.6 + 0.28 * len(results)
    figure = Figure(figsize=(12 if curves else 7, max(height, 4) if curves else height), dpi=150)
    axes = figure.subplots(1, 2 if curves else 1, squeeze=False)[0]
    _points(axes[0], results)
    if curves:
        _reliability(axes[1], curves)
    figure.tight_layout()
    save_figure(figure, path)


def _points(axes: "Axes", results: Sequence[Result]) -> None:
    metric = next(iter(results[0].metrics))
    systems = list(dict.fromkeys(result.system for result in results))
    datasets = list(dict.fromkeys(result.dataset for result in results))
    step = 0.8 / len(systems)
    for number, system in enumerate(systems):
        mine = {
            result.dataset: result.metrics[metric] for result in results if result.system == system
        }
        places = [datasets.index(name) - 0.4 + (number + 0.5) * step for name in mine]
        values = [100 * estimate.value for estimate in mine.values()]
        below = [100 * max(0.0, estimate.value - estimate.low) for estimate in mine.values()]
        above = [100 * max(0.0, estimate.high - estimate.value) for estimate in mine.values()]
        axes.errorbar(values, places, xerr=[below, above], fmt="o", capsize=3, label=system)
    axes.set_yticks(range(len(datasets)), datasets)
    axes.set_ylim(len(datasets) - 0.5, -0.5)
    for boundary in range(1, len(datasets)):
        axes.axhline(boundary - 0.5, color="0.85", linewidth=0.8)
    axes.set_xlabel(f"{metric} × 100, with its interval")
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)


def _reliability(axes: "Axes", results: Sequence[Result]) -> None:
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1, label="perfect")
    several = len({result.dataset for result in results}) > 1
    for result in results:
        bins: Sequence[Mapping[str, Any]] = result.details["reliability"]
        name = f"{result.system}, {result.dataset}" if several else result.system
        label = f"{name} (error {100 * result.details['calibration_error']:.1f} %)"
        axes.plot(
            [bin_["predicted"] for bin_ in bins],
            [bin_["observed"] for bin_ in bins],
            marker="o",
            label=label,
        )
    axes.set_xlabel("predicted probability (on held-out pairs)")
    axes.set_ylabel("share of positive pairs")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.grid(color="0.9")
    axes.legend(loc="upper left", frameon=False, fontsize="small")
