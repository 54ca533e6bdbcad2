"""The user's folder of compiled models: where it is, and how it is kept from growing."""

import os
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["default_cache_dir", "prune"]

_MAX_BYTES = 256 * 2**20
_UNUSED_SECONDS = 24 * 3600.0


def default_cache_dir() -> Path | None:
    """Return the user's cache folder for compiled models (XDG base directory specification).

    None for a user without a home, as containers with an arbitrary user id have.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "edge_embed"
    except RuntimeError:
        return None


def prune(
    folder: Path, *, max_bytes: int = _MAX_BYTES, unused_seconds: float = _UNUSED_SECONDS
) -> None:
    """Remove compiled models that were not used for long, the oldest first.

    Every model, version, number of threads and hint that was ever loaded leaves a file. What is
    removed while another process reads it stays there for that process; the next one compiles anew.

    Args:
        folder: The cache; other files in it are left alone.
        max_bytes: Nothing is removed while the whole takes less.
        unused_seconds: Nothing that was used since is removed, whatever the whole takes.
    """
    found = []
    with suppress(OSError):
        for file in folder.glob("*.blob"):
            with suppress(OSError):
                facts = file.stat()
                found.append((max(facts.st_atime, facts.st_mtime), facts.st_size, file))
    total = sum(size for _, size, _ in found)
    for used, size, file in sorted(found):
        if total <= max_bytes or time.time() - used < unused_seconds:
            return
        with suppress(OSError):
            file.unlink()
            total -= size
