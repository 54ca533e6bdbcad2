"""How long does a conversion take, and how much memory? Convert, then verify against the source.

python -m benchmarks.speed.conversion SOURCE [--json FILE]

Each is a process of its own. Memory is the greatest resident size that the system counted, mapped
files included; processor time hardly depends on what else the machine does, elapsed time does.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import command_line, save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        model = str(Path(work) / "model")
        result = {
            "source": options.source.name,
            "convert": measured("convert", str(options.source), "-o", model),
            "verify": measured("verify", model, "--against", str(options.source)),
        }
    print(json.dumps(result, indent=2))
    if options.json:
        save(options.json, result, command=command_line())


def measured(*arguments: str) -> dict[str, Any]:
    """Run ``edge-embed`` and return its elapsed and processor time and its greatest memory."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "edge_embed", *arguments])
    _, status, used = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - start
    if status:
        raise SystemExit(f"edge-embed {arguments[0]} failed")
    kibibytes = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return {
        "elapsed_s": round(elapsed, 1),
        "processor_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(kibibytes * 1024 / 1e6),
    }


if __name__ == "__main__":
    main()
