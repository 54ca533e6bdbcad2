"""A million records through ``edge-embed dedup``, killed once on the way.

    python -m benchmarks.tasks.large_deduplication TEXTS -m MODEL [--kill-after 60]

TEXTS is a file of texts, or a folder of such files, whose lines are taken in turn. The command runs
as a user's would; its work folder tells when the embedding is done, /proc its memory. After
``--kill-after`` seconds it gets SIGKILL and is started again, which goes on from what was embedded.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.report import command_line, save
from edge_embed import Embedder
from edge_embed.files.formats import READABLE
from edge_embed.files.readers import read_texts
from edge_embed.hardware.machine import memory_mb


def lines_in_turn(source: Path) -> Iterator[str]:
    """Yield a line of each file, then another of each, and so on; repeats are left out."""
    files = [source] if source.is_file() else sorted(source.iterdir())
    waiting = [read_texts(file) for file in files if set(file.suffixes) & set(READABLE)]
    seen: set[str] = set()
    while waiting:
        for texts in list(waiting):
            text = next(texts, None)
            if text is None:
                waiting.remove(texts)
            elif text not in seen:
                seen.add(text)
                yield text


def run(
    command: list[str], vectors: Path, size: int, *, kill_after: float | None
) -> dict[str, Any]:
    """Run a command, or a part of it; return its seconds and its greatest memory."""
    started = time.perf_counter()
    embedded, peak, at_start = None, 0.0, None
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            time.sleep(0.2)
            passed = time.perf_counter() - started
            there = vectors.stat().st_size if vectors.exists() else 0
            at_start = there if at_start is None else at_start
            if embedded is None and there == size:
                embedded = passed
            peak = max(peak, memory_mb(process.pid).get("peak", 0.0))
            if kill_after is not None and passed > kill_after:
                process.send_signal(signal.SIGKILL)
        seconds = time.perf_counter() - started
        assert process.stderr is not None
        said = process.stderr.read().strip().splitlines()
    if kill_after is None and process.returncode:
        raise SystemExit("\n".join(said))
    return {
        "status": process.returncode,
        "seconds": round(seconds, 1),
        "seconds_until_all_is_embedded": embedded and round(embedded, 1),
        "vectors_there_at_the_start": (at_start or 0) / size,
        "peak_memory_mb": round(peak),
        "said": said,
    }


def main() -> None:
    """Run, kill, run again, and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", type=Path)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--kill-after", type=float, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "texts.txt", Path(folder) / "unique.txt"
        lines = list(islice(lines_in_turn(options.texts), options.lines))
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        size = 2 * len(lines) * Embedder(options.model).dim
        command = [sys.executable, "-m", "edge_embed", "dedup", "-m", options.model]
        command += ["-i", str(source), "-o", str(output)]
        vectors = Path(f"{output}.work") / "vectors.f16"
        killed = run(command, vectors, size, kill_after=options.kill_after)
        assert not output.exists(), "an output of a run that was killed"
        whole = run(command, vectors, size, kill_after=None)
        kept = sum(1 for _ in read_texts(output))
    done = 1 - whole["vectors_there_at_the_start"]
    embedding = whole["seconds_until_all_is_embedded"] / done
    after = whole["seconds"] - whole["seconds_until_all_is_embedded"]
    result = {
        "model": Path(options.model).name,
        "records": len(lines),
        "kept": kept,
        "killed": killed,
        "second_run": whole,
        "embedding_all_would_take_s": round(embedding),
        "all_after_the_embedding_s": round(after, 1),
        "share_of_the_embedding": round(after / embedding, 4),
    }
    print(json.dumps(result, indent=2))
    if options.json:
        save(options.json, result, command=command_line())


if __name__ == "__main__":
    main()
