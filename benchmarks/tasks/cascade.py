"""``edge-embed dedup`` by cascade against letting the model read every record.

    python -m benchmarks.tasks.near_duplicates reddit-titles.txt.gz planted.jsonl --lines 40000 \
        --plant 4000
    python -m benchmarks.tasks.cascade planted.jsonl -m MODEL --json FILE
    python -m benchmarks.tasks.cascade CORPORA --lines 1000000 -m MODEL --json FILE

A folder is taken line by line from its files in turn, without planted duplicates. Both run as a
user runs them, one after the other, in a cache that knows the model and its static vectors already;
making those is timed apart. Links are compared pair by pair, by the two reports.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.report import command_line, save
from benchmarks.tasks.large_deduplication import lines_in_turn
from edge_embed.files.readers import read_rows
from edge_embed.hardware.machine import memory_mb
from edge_embed.tasks.deduplication.report import DedupReport


def run(command: list[str], cache: Path) -> dict[str, Any]:
    """Run a command; return its seconds, its greatest memory and what it said."""
    started, peak = time.perf_counter(), 0.0
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    whole = [sys.executable, "-m", "edge_embed", *command]
    with subprocess.Popen(
        whole, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        while process.poll() is None:
            peak = max(peak, memory_mb(process.pid).get("peak", 0.0))
            time.sleep(0.2)
        seconds = time.perf_counter() - started
        assert process.stderr is not None
        said = process.stderr.read().strip().splitlines()
    if process.returncode:
        raise SystemExit("\n".join(said))
    return {"seconds": round(seconds, 1), "peak_memory_mb": round(peak), "said": said}


def mixed(folder: Path, lines: int, path: Path) -> Path:
    """Write lines of a folder's files, in turn, as records without planted duplicates."""
    with path.open("w", encoding="utf-8") as stream:
        for text in islice(lines_in_turn(folder), lines):
            stream.write(json.dumps({"text": text, "kind": ""}) + "\n")
    return path


def links_of(report: DedupReport) -> set[tuple[int, int]]:
    links = report.result.links
    return set(zip(links.left.tolist(), links.right.tolist(), strict=True))


def main() -> None:
    """Run both, compare and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="records with a column kind, or a folder")
    parser.add_argument("--lines", type=int, default=1_000_000, help="of a folder")
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("-t", "--threshold", default="0.9")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {"model": Path(options.model).name}
    reports = {}
    with tempfile.TemporaryDirectory() as folder:
        source = options.source
        if source.is_dir():
            source = mixed(source, options.lines, Path(folder) / "mixed.jsonl")
        kinds = [str(row.values["kind"] or "") for row in read_rows(str(source), column="text")]
        result["records"] = len(kinds)
        cache = Path(folder) / "cache"
        run(["info", "-m", options.model], cache)
        table = run(["info", "-m", options.model, "--variant", "static"], cache)
        result["static_vectors_made_in_s"] = table["seconds"]
        for name, more in (("cascade", ["--cascade"]), ("exhaustive", ["--exhaustive"])):
            report = Path(folder) / f"{name}.jsonl"
            command = ["dedup", "-m", options.model, "-i", str(source), "--column", "text"]
            command += ["-t", options.threshold, "--report", str(report)]
            result[name] = run([*command, "-o", str(Path(folder) / "out.jsonl"), *more], cache)
            reports[name] = DedupReport.read(report)
    gone = {name: {row.row for row in report.removals()} for name, report in reports.items()}
    links = {name: links_of(report) for name, report in reports.items()}
    planted = {row for row, kind in enumerate(kinds) if kind}
    for name in reports:
        result[name] |= {
            "removed": len(gone[name]),
            "planted_found": round(len(gone[name] & planted) / max(1, len(planted)), 4),
            "links": len(links[name]),
        }
    result |= {
        "chosen_by": dict(reports["cascade"].cascade or {}),
        "share_of_links_found": len(links["cascade"] & links["exhaustive"])
        / max(1, len(links["exhaustive"])),
        "share_of_removed_that_differ": len(gone["cascade"] ^ gone["exhaustive"])
        / max(1, len(gone["exhaustive"])),
        "times_as_fast": round(result["exhaustive"]["seconds"] / result["cascade"]["seconds"], 2),
    }
    print(json.dumps(result, indent=2))
    if options.json:
        save(options.json, result, command=command_line())


if __name__ == "__main__":
    main()
