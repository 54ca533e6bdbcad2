"""What every benchmark shares: repeats and their spread, the machine, the JSON that is kept."""

import json
import shlex
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge_embed.bench import spread
from edge_embed.machine import describe_machine

__all__ = ["command_line", "save", "spread"]


def command_line() -> str:
    """Return how this program was called, with names instead of paths."""
    script, *arguments = sys.argv
    names = [Path(argument).name if "/" in argument else argument for argument in arguments]
    return shlex.join(["python", f"benchmarks/{Path(script).name}", *names])


def save(path: Path, result: dict[str, Any], *, command: str) -> None:
    """Write a result with the command, date and machine that it came from."""
    document = {
        "command": command,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {**describe_machine(), "commit": _commit()},
        **result,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


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
