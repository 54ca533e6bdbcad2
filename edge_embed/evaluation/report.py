"""Results as JSON and as a text table."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from edge_embed.evaluation.bootstrap import Bootstrap, Estimate
from edge_embed.evaluation.compare import Result, System
from edge_embed.hardware.machine import describe_machine

__all__ = ["as_json", "table"]

# Measures without a maximum of 1, which are not shown as points of 100.
_PLAIN = frozenset({"threshold"})


def as_json(
    task: str, results: Sequence[Result], systems: Sequence[System], bootstrap: Bootstrap
) -> dict[str, Any]:
    """Return all results as a JSON document; measures are from 0 (or -1) to 1."""
    return {
        "task": task,
        "machine": describe_machine(),
        "bootstrap": asdict(bootstrap),
        "systems": [{"name": system.name, **system.facts} for system in systems],
        "results": [asdict(result) for result in results],
    }


def table(results: Sequence[Result]) -> str:
    """Return a table: a block for each dataset, a row for each model, in points of 100.

    Below each model but the first is its difference from the first.
    """
    names = list(results[0].metrics)
    lines = [["", "rows", *names]]
    for dataset, block in groupby(results, key=lambda result: result.dataset):
        models = list(block)
        lines.append([dataset, f"{models[0].rows}", *("" for _ in names)])
        for model in models:
            cells = [_cell(model.metrics[name], name) for name in names]
            lines.append([f"  {model.system}", "", *cells])
            if model.differences:
                cells = [_cell(model.differences[name], name, signed=True) for name in names]
                lines.append(["    difference", "", *cells])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(_aligned(line, widths) for line in lines)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    first, rows, *cells = line
    parts = [first.ljust(widths[0]), rows.rjust(widths[1])]
    parts.extend(cell.ljust(width) for cell, width in zip(cells, widths[2:], strict=True))
    return "  ".join(parts).rstrip()


def _cell(estimate: Estimate, name: str, *, signed: bool = False) -> str:
    scale, digits = (1, 3) if name in _PLAIN else (100, 2)
    sign = "+" if signed else ""
    value, low, high = (
        f"{scale * number:{sign}.{digits}f}"
        for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]" if low != high or low != value else value
