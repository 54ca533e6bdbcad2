"""The table of a quantization study, made from its JSON.

python -m benchmarks.quantization.table FILE.json [-o FILE.md]
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["write_table"]

# What each task is measured by, besides STS.
_METRICS = {"retrieval": "ndcg@10", "clustering": "v_measure"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    write_table(
        json.loads(options.file.read_text()), options.output or options.file.with_suffix(".md")
    )


def write_table(document: Mapping[str, Any], path: Path) -> None:
    """Write a Markdown table: a row a recipe, Spearman x 100 on each set, what is kept of FP32."""
    recipes = document["recipes"]
    sets = list(next(iter(recipes.values()))["quality"])
    header = ["recipe", "MB", "texts/s", *sets, "kept of FP32, %", "least kept on a set, %"]
    header += ["mean cosine", "same 10 nearest, %"]
    others = [task for task in _METRICS if any(task in result for result in recipes.values())]
    header += [f"kept of FP32 in {task}, %" for task in others]
    lines = [
        f"**{document['model']}**: Spearman × 100; in brackets the 95 % interval of what is kept.",
        "",
        _row(header),
        _row(["---", *("---:" for _ in header[1:])]),
    ]
    for name, result in recipes.items():
        quality = result["quality"]
        speed, fidelity = result.get("texts_per_second"), result.get("fidelity")
        cells = [f"{100 * quality[data]['spearman']['value']:.2f}" for data in sets]
        kept = [_kept(quality[data], "spearman") for data in sets]
        least = min(value for value, _, _ in kept[:-1])
        value, low, high = kept[-1]
        lines.append(
            _row(
                [
                    f"{name}: {result['what']}",
                    f"{result['megabytes']:.1f}",
                    f"{speed['median']:.0f} ({speed['min']:.0f}–{speed['max']:.0f})"
                    if speed
                    else "",
                    *cells,
                    f"{value:.2f} [{low:.2f}, {high:.2f}]",
                    f"{least:.2f}",
                    f"{fidelity['cosine_mean']:.5f}" if fidelity else "",
                    f"{100 * fidelity['neighbour_overlap']:.1f}" if fidelity else "",
                    *(_mean_kept(result.get(task), _METRICS[task]) for task in others),
                ]
            )
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _mean_kept(quality: Mapping[str, Any] | None, metric: str) -> str:
    """Return what is kept on the mean of several sets, or on the only one."""
    if not quality:
        return ""
    value, low, high = _kept(quality.get("average", next(iter(quality.values()))), metric)
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _kept(quality: Mapping[str, Any], metric: str) -> tuple[float, float, float]:
    """Return what is kept of the FP32 figure in percent, with its interval."""
    if "difference" not in quality:
        return 100.0, 100.0, 100.0
    difference = quality["difference"]
    fp32 = quality[metric]["value"] - difference["value"]
    value, low, high = (100 * (1 + difference[end] / fp32) for end in ("value", "low", "high"))
    return value, low, high


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
