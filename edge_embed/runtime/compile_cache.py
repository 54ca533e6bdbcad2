"""The folder of compiled models: what is taken from it, and how it is kept from growing.

Each model, version and setting has an entry, a folder with the engine's file and its checksum. An
entry appears whole under its name and is not changed after that, so that processes need not wait
for each other. What is damaged, or was written by another user, is compiled anew.
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
# Longest that a model may take to compile; an unfinished entry that is older was abandoned.
_COMPILING_SECONDS = 3600.0
_SUMS = "checksums.json"
_CHUNK = 2**20

Compiled = TypeVar("Compiled")


def default_cache_dir() -> Path | None:
    """Return the user's cache folder for compiled models (XDG base directory specification).

    None for a user without a home, as containers with an arbitrary user id have.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "edge_embed"
    except RuntimeError:
        return None


def cache_folder(cache: bool | str | Path) -> Path | None:
    """Return the folder that ``cache`` means: True the user's, a path another, False none.

    Where the user has none, a warning says so.
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
    """Compile a model, or take what an earlier process has compiled.

    Args:
        root: The cache; made where it is missing.
        key: Name of the entry. Models that share one cost time, but are not mixed up: the engine
            finds its file by the content of the model.
        compile_in: What compiles, reading and writing in the folder that it is given; None compiles
            without one.
    """
    entry = root / key
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if why_not := why_not_safe(root):
            _say_uncached(f"{root} {why_not}")
            return compile_in(None)
        if _is_whole(entry):
            return _from(entry, compile_in)
        _remove_abandoned(root, key)
        folder = Path(tempfile.mkdtemp(prefix=f".{key}.", suffix=".part", dir=root))
    except OSError as error:
        _say_uncached(f"{root}: {error.strerror}")
        return compile_in(None)
    try:
        compiled = compile_in(folder)
        _publish(folder, entry)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return compiled


def why_not_safe(root: Path) -> str:
    """Say what lets others change the cache; the empty text where nothing does.

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
    """Remove compiled models that were not used for long, the oldest first.

    Every model, version, number of threads and hint that was ever loaded leaves an entry. What is
    removed while another process reads it stays there for that process; the next one compiles anew.

    Args:
        folder: The cache; other files in it are left alone.
        max_bytes: Nothing is removed while the whole takes less.
        unused_seconds: Nothing that was used since is removed, whatever the whole takes.
    """
    found = []
    with suppress(OSError):
        # Files of the root itself were left by versions before entries were folders.
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


def _from(entry: Path, compile_in: Callable[[Path | None], Compiled]) -> Compiled:
    """Compile from a whole entry; remove it if the engine has written another file into it."""
    before = _stamps(entry)
    compiled = compile_in(entry)
    if _stamps(entry) != before:
        shutil.rmtree(entry, ignore_errors=True)
    return compiled


def _publish(folder: Path, entry: Path) -> None:
    """Sign what the engine has written and give it its name; another process may be first."""
    try:
        sums = {file.name: _sum(file) for file in folder.iterdir()}
        if not sums:
            _say_uncached(f"nothing could be written to {entry.parent}")
            return
        (folder / _SUMS).write_text(json.dumps(sums), encoding="utf-8")
        if not _is_whole(entry):
            shutil.rmtree(entry, ignore_errors=True)
            folder.rename(entry)
    except OSError as error:
        if not _is_whole(entry):
            _say_uncached(f"{entry.parent}: {error.strerror}")


def _is_whole(entry: Path) -> bool:
    """Whether an entry is there, ours, and as it was written."""
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
    """Whether files of a user may be believed: our own, and those of root, who may do anything."""
    return sys.platform == "win32" or owner in (0, os.geteuid())


def _sum(file: Path) -> str:
    """Return a checksum against damage. Against malice there is the owner, and none would help."""
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


def _say_uncached(why: str) -> None:
    warnings.warn(
        f"compiled models are not cached, every start will be slower: {why}", stacklevel=4
    )
