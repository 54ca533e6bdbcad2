"""The on-disk cache of compiled models.

Each model, version and setting has an entry: a folder with the engine's file and its checksum. An
entry is written under a temporary name and renamed when complete, and is not changed afterwards, so
processes need no locks. Entries that are damaged, or that another user wrote, are not used.
"""

import json
import os
import shutil
import stat
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from edge_embed.files.json_text import parse_json

__all__ = ["cache_folder", "cached", "default_cache_dir", "prune", "why_not_safe"]

_MAX_BYTES = 256 * 2**20
_UNUSED_SECONDS = 24 * 3600.0
# The longest time that compiling may take; an older unfinished entry was abandoned.
_COMPILING_SECONDS = 3600.0
_SUMS = "checksums.json"
_CHUNK = 2**20

Compiled = TypeVar("Compiled")


def default_cache_dir() -> Path | None:
    """Return the user's cache folder for compiled models (XDG base directory specification).

    None if there is no home folder, as in a container with an arbitrary user id.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "edge_embed"
    except RuntimeError:
        return None


def cache_folder(cache: bool | str | Path) -> Path | None:
    """Return the cache folder: for True the user's, for a path that, for False None.

    If the user has none, a warning is given.
    """
    if cache is not True:
        return Path(cache) if cache else None
    folder = default_cache_dir()
    if folder is None:
        warnings.warn(
            "compiled models are not cached, every start will be slower: there is no home "
            "folder; set XDG_CACHE_HOME, or leave the cache out (cache=False, --no-cache)",
            stacklevel=3,
        )
    return folder


def cached(root: Path, key: str, compile_in: Callable[[Path | None], Compiled]) -> Compiled:
    """Compile a model, or load what an earlier process has compiled.

    Args:
        root: The cache folder; created if missing.
        key: Name of the entry. If two models had the same, they would be slow but not confused, as
            the engine finds its file by the content of the model.
        compile_in: Compiles the model, with the given folder as the engine's cache; None is no
            cache.

    Returns:
        What ``compile_in`` returned.
    """
    entry = root / key
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if why_not := why_not_safe(root):
            _warn_uncached(f"{root} {why_not}")
            return compile_in(None)
        if _is_whole(entry):
            return _load(entry, compile_in)
        _remove_abandoned(root, key)
        folder = Path(tempfile.mkdtemp(prefix=f".{key}.", suffix=".part", dir=root))
    except OSError as error:
        _warn_uncached(f"{root}: {error.strerror}")
        return compile_in(None)
    try:
        compiled = compile_in(folder)
        _publish(folder, entry)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return compiled


def why_not_safe(root: Path) -> str:
    """Return why other users could change the cache folder, for a message; "" if they cannot.

    Raises:
        OSError: there is no such folder.
    """
    facts = root.stat()
    if not _is_trusted(facts.st_uid):
        return "belongs to another user: set XDG_CACHE_HOME to a folder of your own"
    if facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX:
        return "can be written by everybody: chmod o-w it, or set XDG_CACHE_HOME to another folder"
    return ""


def prune(
    folder: Path, *, max_bytes: int = _MAX_BYTES, unused_seconds: float = _UNUSED_SECONDS
) -> None:
    """Remove the compiled models that were not used for longest, while the cache is too large.

    Every combination of model, version, threads and hint has an entry. A process that reads an
    entry while it is removed is not affected; the next one compiles again.

    Args:
        folder: The cache folder; other files in it are left alone.
        max_bytes: The size in bytes up to which nothing is removed.
        unused_seconds: Entries used within this time are kept, whatever the size.
    """
    found = []
    with suppress(OSError):
        # Files in the root itself are from earlier versions, whose entries were files.
        for file in [*folder.glob("*.blob"), *folder.glob("*/*.blob")]:
            ours = file.parent == folder or (file.parent / _SUMS).exists()
            with suppress(OSError):
                facts = file.stat()
                if ours:
                    found.append((max(facts.st_atime, facts.st_mtime), facts.st_size, file))
    total = sum(size for _, size, _ in found)
    for used, size, file in sorted(found):
        if total <= max_bytes or time.time() - used < unused_seconds:
            return
        with suppress(OSError):
            file.unlink()
            total -= size
            if file.parent != folder:
                (file.parent / _SUMS).unlink()
                file.parent.rmdir()


def _load(entry: Path, compile_in: Callable[[Path | None], Compiled]) -> Compiled:
    """Load a complete entry; remove it if the engine did not use it and wrote another file."""
    before = _stamps(entry)
    compiled = compile_in(entry)
    if _stamps(entry) != before:
        shutil.rmtree(entry, ignore_errors=True)
    return compiled


def _publish(folder: Path, entry: Path) -> None:
    """Add checksums to what the engine wrote and rename it, unless another process was first."""
    try:
        sums = {file.name: _sum(file) for file in folder.iterdir()}
        if not sums:
            _warn_uncached(f"nothing could be written to {entry.parent}")
            return
        (folder / _SUMS).write_text(json.dumps(sums), encoding="utf-8")
        if not _is_whole(entry):
            shutil.rmtree(entry, ignore_errors=True)
            folder.rename(entry)
    except OSError as error:
        if not _is_whole(entry):
            _warn_uncached(f"{entry.parent}: {error.strerror}")


def _is_whole(entry: Path) -> bool:
    """Return whether an entry exists, has trusted owners, and matches its checksums."""
    try:
        files = {file.name: file for file in entry.iterdir()}
        if not all(_is_ours(path) for path in (entry, *files.values())):
            return False
        sums = parse_json(files.pop(_SUMS).read_bytes())
        return bool(files) and sums == {name: _sum(file) for name, file in files.items()}
    except (OSError, KeyError, ValueError):
        return False


def _is_ours(path: Path) -> bool:
    facts = path.lstat()
    own = stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)
    return own and _is_trusted(facts.st_uid) and not facts.st_mode & stat.S_IWOTH


def _is_trusted(owner: int) -> bool:
    """Return whether files of this user id are used: our own and those of root."""
    return sys.platform == "win32" or owner in (0, os.geteuid())


def _sum(file: Path) -> str:
    """Return a checksum that detects damage; against manipulation the file's owner is checked."""
    total = 0
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            total = zlib.crc32(chunk, total)
    return f"{total:08x}"


def _stamps(entry: Path) -> set[tuple[str, int, int]] | None:
    try:
        facts = [(file.name, file.stat()) for file in entry.iterdir()]
    except OSError:
        return None
    return {(name, stamp.st_size, stamp.st_mtime_ns) for name, stamp in facts}


def _remove_abandoned(root: Path, key: str) -> None:
    for part in root.glob(f".{key}.*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _COMPILING_SECONDS:
                shutil.rmtree(part, ignore_errors=True)


def _warn_uncached(why: str) -> None:
    warnings.warn(
        f"compiled models are not cached, every start will be slower: {why}", stacklevel=4
    )
