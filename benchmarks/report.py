"""What benchmarks share: arguments, repeats and their spread, the machine, the JSON to keep."""

import argparse
import json
import re
import shlex
import subprocess
import sys
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any

from edge_embed.bench.timing import spread
from edge_embed.files.readers import read_texts
from edge_embed.hardware.machine import describe_machine

__all__ = ["command_line", "save", "spread", "text_options"]


def text_options(about: str, *, texts: int, rounds: int) -> tuple[argparse.Namespace, list[str]]:
    """Read the arguments of a benchmark of one model on texts; return them and different texts.

    Args:
        about: The script's docstring; its first line is shown.
        texts: How many of the file's first texts are taken, by default.
        rounds: How often things are measured, by default.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("-i", "--input", required=True)
    parser.add_argument("--column")
    parser.add_argument("--texts", type=int, default=texts)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    read = islice(read_texts(options.input, column=options.column), options.texts)
    return options, list(dict.fromkeys(read))


def command_line() -> str:
    """Return how this program was called, with names instead of paths."""
    script, *arguments = sys.argv
    module = Path(script).with_suffix("").relative_to(Path(__file__).parents[1])
    names = [re.sub("[^=]*/", "", argument.rstrip("/")) for argument in arguments]
    return shlex.join(["python", "-m", ".".join(module.parts), *names])


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
