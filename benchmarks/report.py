"""What every benchmark shares: repeats and their spread, the machine, the JSON that is kept."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("edge-embed", "openvino", "tokenizers", "numpy", "nncf", "optimum-intel", "torch")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, least and greatest of some repeats."""
    return {
        "median": round(statistics.median(values), 6),
        "min": round(min(values), 6),
        "max": round(max(values), 6),
        "repeats": len(values),
    }


def machine() -> dict[str, Any]:
    """Describe the processor and the software."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    facts = dict(line.split(":", 1) for line in cpu if ":" in line)
    flags = next((value.split() for key, value in facts.items() if key.strip() == "flags"), [])
    instructions = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8")
    return {
        "processor": facts.get("model name\t", platform.processor()).strip(),
        "cores": len(os.sched_getaffinity(0)),
        "instructions": [name for name in instructions if name in flags],
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "commit": _commit(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def save(path: Path, result: dict[str, Any], *, command: str) -> None:
    """Write a result with the command, date and machine that it came from."""
    document = {
        "command": command,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        **result,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    root = Path(__file__).parent
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or None
