"""Vectors stored on disk while they are computed, so that an interrupted run can be resumed.

The folder has a file of vectors, to which chunks are appended, and a manifest with the number of
complete vectors. The manifest is replaced after its chunk is on disk, so it never counts vectors
that are not.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError
from edge_embed.files.atomic import atomic_file
from edge_embed.files.json_text import parse_json
from edge_embed.files.lock import LOCK_NAME
from edge_embed.files.write_errors import output_error

__all__ = ["ResumableVectors", "VectorsKey"]

SCHEMA = 1
_MANIFEST = "manifest.json"
_VECTORS = "vectors.f16"

Halves = npt.NDArray[np.float16]


@dataclass(frozen=True)
class VectorsKey:
    """Identifies the vectors of a run; a folder with another key is refused."""

    model: str
    """The model's fingerprint."""
    texts: str
    """A hash of the texts in their order."""
    rows: int
    dim: int


class ResumableVectors:
    """The unit vectors of one run, as float16, which changes a cosine by at most about 0.0001."""

    def __init__(self, folder: Path, key: VectorsKey) -> None:
        """Open the folder of an earlier run, or create it.

        Raises:
            InputError: the folder holds vectors of another model or other texts, or is damaged.
            OutputError: the folder cannot be written.
        """
        self.folder, self._key = folder, key
        self._file = folder / _VECTORS
        self.done = 0
        """Number of stored vectors."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / _MANIFEST).exists():
                self.done = self._read_manifest()
                os.truncate(self._file, self.done * self._row_bytes)
            elif any(not _is_ours(file) for file in folder.iterdir()):
                raise InputError(
                    f"{folder} is not a work folder of this program: choose another one with "
                    "--work-folder"
                )
            else:
                self._file.write_bytes(b"")
                self._write_manifest()
        except OSError as error:
            raise output_error(folder, error) from error

    @property
    def _row_bytes(self) -> int:
        return self._key.dim * np.dtype(np.float16).itemsize

    def append(self, vectors: npt.NDArray[np.floating[Any]]) -> None:
        """Append vectors, float (n, dim); they are on disk when this returns.

        Raises:
            OutputError: they cannot be written.
        """
        try:
            with self._file.open("ab") as file:
                file.write(np.asarray(vectors, np.float16).tobytes())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise output_error(self._file, error) from error
        self.done += len(vectors)
        self._write_manifest()

    def vectors(self) -> Halves:
        """Return all stored vectors, float16 (n, dim), memory-mapped."""
        if not self.done:
            return np.empty((0, self._key.dim), np.float16)
        return np.memmap(self._file, np.float16, "r", shape=(self.done, self._key.dim))

    def remove(self) -> None:
        """Remove the run's files, and the folder if it is then empty."""
        for name in (_MANIFEST, _VECTORS):
            (self.folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def _write_manifest(self) -> None:
        content = {"schema": SCHEMA, **asdict(self._key), "done": self.done}
        with atomic_file(self.folder / _MANIFEST) as temporary:
            temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")

    def _read_manifest(self) -> int:
        file = self.folder / _MANIFEST
        try:
            content = parse_json(file.read_bytes())
            done = int(content.pop("done"))
            size = self._file.stat().st_size
        except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError):
            raise self._unusable("is damaged") from None
        wanted = {"schema": SCHEMA, **asdict(self._key)}
        for name, what in (
            ("schema", "was made by another version"),
            ("model", "holds vectors of another model"),
            ("texts", "holds vectors of other texts"),
        ):
            if content.get(name) != wanted[name]:
                raise self._unusable(what)
        if content != wanted or size < done * self._row_bytes:
            raise self._unusable("is damaged")
        return done

    def _unusable(self, what: str) -> InputError:
        return InputError(
            f"the work folder {self.folder} of an earlier run {what}: delete it, or choose another "
            "one with --work-folder"
        )


def _is_ours(file: Path) -> bool:
    """Return whether a file in a folder without a manifest is from a run that was killed early."""
    if file.name == _VECTORS:
        return file.stat().st_size == 0
    return file.name == LOCK_NAME or file.name.startswith(f".{_MANIFEST}.")
