"""The log of a training run, as a CSV file and as a plot."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_embed.files.atomic import atomic_file
from edge_embed_conversion.console import say

__all__ = ["COLUMNS", "Log", "draw_curve"]

COLUMNS = ("step", "seconds", "tokens", "passes", "loss", "direction", "similarity", "word", "sts")


class Log:
    """A CSV file with one row every few steps; rows after the step resumed from are removed."""

    def __init__(self, file: Path, *, step: int, columns: Sequence[str] = COLUMNS) -> None:
        self._file = file
        self._columns = tuple(columns)
        self.rows: list[dict[str, str]] = []
        if file.is_file():
            with file.open(encoding="utf-8", newline="") as stream:
                # A half-written row of an interrupted run lacks its last columns.
                self.rows = [
                    row
                    for row in csv.DictReader(stream)
                    if row.get(self._columns[-1]) is not None and int(row["step"]) <= step
                ]
        with atomic_file(file) as path, path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, self._columns)
            writer.writeheader()
            writer.writerows(self.rows)

    def add(self, values: Mapping[str, float | None]) -> None:
        """Append a row to the file and print it to stderr."""
        row = {name: _text(values.get(name)) for name in self._columns}
        self.rows.append(row)
        with self._file.open("a", encoding="utf-8", newline="") as stream:
            csv.DictWriter(stream, self._columns).writerow(row)
        say("train: " + ", ".join(f"{name} {text}" for name, text in row.items() if text))


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def draw_curve(
    log: Log, file: Path, *, score: str = "sts", title: str = "STS Spearman x 100"
) -> None:
    """Plot the loss and the column ``score`` over the steps into a PNG ``file``.

    Without matplotlib only a line on stderr is written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        say(f"curve: no {file.name} without matplotlib: pip install 'edge-embed[plot]'")
        return
    steps = [int(row["step"]) for row in log.rows]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(steps, [float(row["loss"]) for row in log.rows], color="tab:gray", label="loss")
    axes.set(xlabel="step", ylabel="loss", yscale="log")
    scored = [(int(row["step"]), float(row[score])) for row in log.rows if row[score]]
    if scored:
        right = axes.twinx()
        right.plot(*zip(*scored, strict=True), "o-", color="tab:blue", markersize=3)
        right.set_ylabel(title, color="tab:blue")
    for before, after in zip(log.rows, log.rows[1:], strict=False):
        if before.get("passes") != after.get("passes"):
            axes.axvline(int(after["step"]), color="tab:orange", linewidth=0.8)
            axes.annotate(
                f"{after['passes']} passes",
                (int(after["step"]), 1),
                xytext=(3, -12),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                fontsize=8,
            )
    with atomic_file(file) as path:
        figure.savefig(path, format="png", dpi=120)
