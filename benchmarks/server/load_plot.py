"""Latency against offered load, a line for each server that load.py measured.

python -m benchmarks.server.load_plot NAME=server_load_A.json ... -o FILE.png
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", metavar="NAME=JSON")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for item in options.results:
        name, path = item.split("=", 1)
        runs = json.loads(Path(path).read_text())["open_loop"].values()
        offered = [run["offered_per_s"] for run in runs]
        color = axes.plot(
            offered, [run["accepted_ms"]["p50"] for run in runs], "o-", label=f"{name}, p50"
        )[0].get_color()
        p99 = [run["accepted_ms"]["p99"] for run in runs]
        axes.plot(offered, p99, "o--", color=color, label=f"{name}, p99")
    axes.set(
        xlabel="requests offered a second (50, 80, 100 and 150 % of each server's capacity)",
        ylabel="latency of accepted requests, ms",
        yscale="log",
    )
    axes.legend()
    figure.tight_layout()
    figure.savefig(options.output, dpi=120)


if __name__ == "__main__":
    main()
