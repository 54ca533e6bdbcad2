"""The results of ``edge-embed bench tune`` on this machine, stored with the compiled models."""

import warnings
from pathlib import Path
from typing import Any

from edge_embed.files.json_text import parse_json
from edge_embed.hardware.machine import processor_name

__all__ = ["TUNING_FILE", "TUNING_SCHEMA", "read_tuning", "tuned_streams", "tuning_key"]

TUNING_FILE = "tuning.json"
TUNING_SCHEMA = 1


def tuned_streams(cache: Path | None, threads: int) -> int | None:
    """Return the number of streams that was measured best for ``threads`` on this processor.

    None if nothing was measured, or ``cache`` is None.
    """
    entry = read_tuning(cache / TUNING_FILE).get(tuning_key(threads)) if cache is not None else None
    streams = entry.get("streams") if isinstance(entry, dict) else None
    return streams if type(streams) is int and 1 <= streams <= threads else None


def read_tuning(file: Path) -> dict[str, Any]:
    """Return the measurements by :func:`tuning_key`; a damaged file gives a warning and {}."""
    try:
        content = parse_json(file.read_bytes())
        machines = content["machines"] if content["schema"] == TUNING_SCHEMA else {}
        return dict(machines)
    except OSError:
        return {}
    except (ValueError, KeyError, TypeError):
        warnings.warn(
            f"{file} is damaged and is not used: measure again with 'edge-embed bench tune'",
            stacklevel=2,
        )
        return {}


def tuning_key(threads: int) -> str:
    """Return the key of a measurement: threads and processor, as machines may share a cache."""
    return f"{threads} threads of {processor_name()}"
