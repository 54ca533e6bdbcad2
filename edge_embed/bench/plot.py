"""Plot the results of ``edge-embed bench``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_embed.errors import InputError
from edge_embed.files.figures import require_matplotlib, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PANELS", "plot"]


def plot(result: Mapping[str, Any], path: Path) -> None:
    """Plot latency by length, speed by texts in a call, and memory, if measured, to a PNG file.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InputError: the result has none of these.
        OutputError: the file cannot be written.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    panels = [(part, draw) for part, draw in PANELS.items() if part in result]
    if not panels:
        raise InputError(f"a plot needs one of these measured: {', '.join(PANELS)}")
    figure = Figure(figsize=(6.4 * len(panels), 4.2), dpi=120, layout="constrained")
    places = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (part, draw) in zip(places, panels, strict=True):
        draw(axes, result[part])
    figure.suptitle(f"{result['model']} {result['variant']}, {result['machine']['processor']}")
    save_figure(figure, path)


def _latency(axes: "Axes", found: Mapping[str, Any]) -> None:
    groups = [name for name in found if name != "all"] or ["all"]
    for percentile in ("p50", "p90", "p99", "p99.9"):
        axes.plot([found[name][percentile] for name in groups], marker="o", label=percentile)
    axes.set_xticks(range(len(groups)), [name.removesuffix(" tokens") for name in groups])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("tokens of the text")
    axes.set_ylabel("ms for one text")
    axes.grid(color="0.9")
    axes.legend(frameon=False)


def _throughput(axes: "Axes", found: Mapping[str, Any]) -> None:
    speeds = {**found["by_call"], "all": found["texts_per_second"]}
    middle = [speed["median"] for speed in speeds.values()]
    low = [speed["median"] - speed["min"] for speed in speeds.values()]
    high = [speed["max"] - speed["median"] for speed in speeds.values()]
    axes.errorbar(range(len(speeds)), middle, yerr=[low, high], marker="o", capsize=3)
    axes.set_xticks(range(len(speeds)), list(speeds))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("texts in a call")
    axes.set_ylabel("texts a second")
    axes.grid(color="0.9")


def _memory(axes: "Axes", found: Mapping[str, Any]) -> None:
    names = [name for name in found if name != "calls"]
    values = [found[name].get("resident", 0.0) for name in names]
    bars = axes.barh([name.replace("_", " ") for name in names], values, color="0.6")
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.set_xlim(0, 1.15 * max(values))
    axes.invert_yaxis()
    axes.set_xlabel(f"resident MiB; {found['calls']} calls of random size and length")


# Part of the result to the function that plots it.
PANELS = {"latency": _latency, "throughput": _throughput, "memory": _memory}
