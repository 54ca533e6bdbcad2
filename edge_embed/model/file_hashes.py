"""Hashes of a model folder's files, by which changes and damage are detected."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = ["FileHash", "file_hash", "known_sha256"]


@dataclass(frozen=True)
class FileHash:
    """The hash and the size in bytes of a file."""

    sha256: str
    size: int


def file_hash(path: Path) -> FileHash:
    """Return the SHA-256 and size in bytes of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return FileHash(digest.hexdigest(), path.stat().st_size)


def known_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, cached in this process until the file changes."""
    facts = path.stat()
    return _sha256(path, facts.st_ino, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=256)
def _sha256(path: Path, inode: int, size: int, mtime: int) -> str:
    return file_hash(path).sha256
