"""Cost against size: what was measured, what a model of the cost gives beyond, and a picture.

    python -m benchmarks.growth -o benchmarks/results/tasks/growth.png

Reads the results of deduplication, large_deduplication and index_growth, prints the table of
docs/growth.md and draws the picture. A model says how a cost grows; it starts from the largest size
that was measured, and the same model from the smallest size shows how well it fits.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
SIZES = (10_000, 100_000, 1_000_000, 10_000_000, 1_000_000_000)

# Up to this many texts an index has no graph.
_GRAPH = 20_000

Points = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Cost:
    """A cost that grows."""

    name: str
    unit: str
    """s, ms or bytes."""
    points: Points
    """Sizes that were measured and what they cost, ascending."""
    growth: Callable[[float], float]
    model: str
    """What ``growth`` is, for the table."""
    least: int = 0
    """The least size that has this cost."""

    def at(self, size: int) -> float:
        """Return the cost at a size by the model, from the largest size that was measured."""
        measured, cost = self.points[-1]
        return cost * self.growth(size) / self.growth(measured)

    def fit(self) -> float | None:
        """Return the measured cost of the largest size over that by the model from the smallest.

        None if one size was measured.
        """
        (small, first), (large, last) = self.points[0], self.points[-1]
        if small == large:
            return None
        return last / (first * self.growth(large) / self.growth(small))


def costs(results: Path = RESULTS) -> list[Cost]:
    """Return the costs, from the results of other benchmarks."""
    hundred = _read(results, "deduplication_edge-embed-albert-mini")
    million = _read(results, "large_deduplication_edge-embed-albert-mini")
    rows = [row for row in _read(results, "index_growth")["rows"] if row["stored as"] == "int8"]
    graphs = [row for row in rows if row["graph_seconds"]]
    texts = hundred["texts"], million["records"]
    embedding = hundred["seconds"]["embedding"], million["embedding_all_would_take_s"]
    rest = hundred["links"]["0.9"]["cells_seconds"], million["all_after_the_embedding_s"]
    power = math.log(rest[1] / rest[0]) / math.log(texts[1] / texts[0])
    return [
        Cost("embed", "s", list(zip(texts, embedding, strict=True)), lambda n: n, "n"),
        Cost(
            "dedup, after the embedding",
            "s",
            list(zip(texts, rest, strict=True)),
            lambda n: n**power,
            f"n^{power:.2f}, fitted",
        ),
        Cost("index: add", "s", _points(rows, lambda row: row["add_seconds"]), lambda n: n, "n"),
        Cost(
            "index: graph",
            "s",
            _points(graphs, lambda row: row["graph_seconds"]),
            lambda n: n * math.log(n),
            "n log n",
            _GRAPH,
        ),
        Cost(
            "index: disk",
            "bytes",
            _points(graphs, lambda row: row["bytes_per_text"] * row["texts"]),
            lambda n: n,
            "n",
            _GRAPH,
        ),
        Cost(
            "search of one query",
            "ms",
            _points(graphs, _search_ms),
            math.log,
            "log n",
            _GRAPH,
        ),
    ]


def table(found: Sequence[Cost]) -> Iterator[str]:
    """Yield the lines of the table: measured sizes in bold, the others by the model."""
    yield f"| | {' | '.join(f'{size:,}' for size in SIZES)} | model; measured / model |"
    yield f"|---|{'---:|' * len(SIZES)}---|"
    for cost in found:
        measured = dict(cost.points)
        cells = []
        for size in SIZES:
            near = [n for n in measured if 0.9 <= n / size <= 1.2]
            if size < cost.least:
                cells.append("–")
            elif near:
                cells.append(f"**{_short(measured[near[0]], cost.unit)}**")
            else:
                cells.append(_short(cost.at(size), cost.unit))
        fit = cost.fit()
        if "fitted" in cost.model:
            said = "–"
        else:
            said = "one size measured" if fit is None else f"{fit:.2f}"
        yield f"| {cost.name} | {' | '.join(cells)} | {cost.model}; {said} |"


def draw(found: Sequence[Cost], path: Path) -> None:
    """Draw each cost against the size: dots are measured, lines are the model."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    colours = ("#1f5fa8", "#d9731a", "#3b8f4f", "#8a4fa3")
    for axis, unit, title in zip(
        axes,
        ("s", "ms", "bytes"),
        ("seconds on two cores", "milliseconds of a search", "bytes on the disk"),
        strict=True,
    ):
        own = [cost for cost in found if cost.unit == unit]
        for cost, colour in zip(own, colours, strict=False):
            sizes = [n for n in SIZES if n >= cost.points[0][0] * 0.9]
            sizes = sorted({cost.points[0][0], *sizes})
            axis.plot(sizes, [cost.at(n) for n in sizes], "--", c=colour, lw=1)
            axis.plot(*zip(*cost.points, strict=True), "o", c=colour, label=cost.name)
        axis.set(xscale="log", yscale="linear" if unit == "ms" else "log", xlabel="texts")
        axis.set_title(title, fontsize=10)
        if unit == "ms":
            axis.set_ylim(0, None)
        axis.grid(alpha=0.3)
        axis.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)


def _read(results: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (results / "tasks" / f"{name}.json").read_text(encoding="utf-8")
    )
    return found


def _points(
    rows: Sequence[dict[str, Any]], cost: Callable[[dict[str, Any]], float]
) -> list[tuple[int, float]]:
    return sorted((row["texts"], cost(row)) for row in rows)


def _search_ms(row: dict[str, Any]) -> float:
    found = row["alone"]
    seconds = found["query_seconds"]["median"] - found["embedding_seconds"]["median"]
    return float(seconds * 1e3)


def _short(value: float, unit: str) -> str:
    """Return a cost with two digits, in a unit that suits it."""
    steps = {
        "s": ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")),
        "ms": ((1, "ms"),),
        "bytes": ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1, "B")),
    }[unit]
    size, name = next((step for step in steps if value >= step[0] * 0.95), steps[-1])
    scaled = value / size
    return f"{scaled:.0f} {name}" if scaled >= 9.95 else f"{scaled:.1f} {name}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    found = costs(options.results)
    print("\n".join(table(found)))
    if options.output is not None:
        draw(found, options.output)


if __name__ == "__main__":
    main()
