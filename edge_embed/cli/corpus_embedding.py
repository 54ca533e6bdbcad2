"""Embed a whole corpus for a task: progress on stderr, and vectors on disk to resume from."""

import hashlib
import warnings
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from edge_embed.cli.options import ModelOptions
from edge_embed.cli.terminal import echo, progress_bar
from edge_embed.encoding import TruncationWarning, truncation_message
from edge_embed.errors import EdgeEmbedError, InputError
from edge_embed.files.resumable_vectors import ResumableVectors, VectorsKey

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge_embed.embedder import Embedder

__all__ = ["CorpusEmbedding", "StoppedError"]

# Texts embedded between two writes: the most that are lost if the process is killed.
_CHUNK = 4096
_ROWS = "rows.npy"


class StoppedError(EdgeEmbedError):
    """The command was interrupted after part of the work was stored; the message says which."""


class CorpusEmbedding:
    """Embeds texts chunk by chunk into :mod:`~edge_embed.files.resumable_vectors`."""

    def __init__(self, options: ModelOptions, folder: Path) -> None:
        self._options, self.folder = options, folder
        self._vectors: ResumableVectors | None = None
        self.fingerprint = ""
        """The model's fingerprint, once :meth:`open` was called."""

    @cached_property
    def model(self) -> "Embedder":
        """The model, loaded at first use."""
        model = self._options.for_files().load()
        model.config.require_cosine("this command")
        return model

    def run(self, texts: Iterator[str], count: int, digest: str) -> "npt.NDArray[np.float16]":
        """Return the vectors of ``count`` texts, float16 (count, dim) of unit length.

        Args:
            texts: The texts.
            count: How many they are.
            digest: A hash of the texts.
        """
        stored = self.open(count, digest)
        self.add(islice(texts, stored.done, None), count)
        return stored.vectors()

    @property
    def rows_file(self) -> Path:
        """The file with the rows of the stored vectors, int64 (n,), if not all are embedded."""
        return self.folder / _ROWS

    def open(self, count: int, digest: str, *, rows_apart: bool = False) -> ResumableVectors:
        """Open the work folder for the vectors of at most ``count`` texts.

        Args:
            count: How many texts there are.
            digest: A hash of the texts.
            rows_apart: Whether vectors are in the order of :attr:`rows_file`, which the caller
                writes.
        """
        from edge_embed.model.fingerprint import model_fingerprint

        self.fingerprint = model_fingerprint(self.model)
        key = VectorsKey(
            model=self.fingerprint,
            texts=hashlib.sha256(f"{self.model.prompt()} {digest}".encode()).hexdigest(),
            rows=count,
            dim=self.model.dim,
        )
        self._vectors = stored = ResumableVectors(self.folder, key)
        if stored.done and self.rows_file.exists() != rows_apart:
            raise InputError(
                f"the work folder {self.folder} is of a run with{'out' if rows_apart else ''} "
                "--cascade: give the same options, delete it, or choose another --work-folder"
            )
        if stored.done:
            echo(
                f"going on from an earlier run: {stored.done} of {count} texts are embedded",
                err=True,
            )
        return stored

    def add(self, texts: Iterator[str], count: int) -> None:
        """Embed texts and append their vectors, up to ``count`` vectors in all."""
        assert self._vectors is not None  # noqa: S101 - it was opened
        stored, model, cut = self._vectors, self.model, 0
        try:
            with progress_bar(count, "embedded", done=stored.done) as bar:
                while chunk := list(islice(texts, _CHUNK)):
                    encoded = model.encode_detailed(chunk, prompt=model.prompt(), normalize=True)
                    stored.append(encoded.vectors)
                    cut += len(encoded.truncated)
                    bar.update(len(chunk))
        except KeyboardInterrupt:
            raise StoppedError(
                f"interrupted; {stored.done} of {count} texts are embedded in {self.folder}: "
                "the same command goes on from there"
            ) from None
        if cut:
            warnings.warn(
                truncation_message(cut, count, model.max_seq_length),
                TruncationWarning,
                stacklevel=3,
            )

    def finish(self) -> None:
        """Remove the work folder, once the result is written."""
        if self._vectors is not None:
            self.rows_file.unlink(missing_ok=True)
            self._vectors.remove()
