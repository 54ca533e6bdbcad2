"""Embed a whole corpus for a task: progress on stderr, and vectors on disk to resume from."""

import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge_embed.cli.options import ModelOptions
from edge_embed.cli.terminal import echo, progress_bar
from edge_embed.encoding import TruncationWarning, truncation_message
from edge_embed.errors import EdgeEmbedError
from edge_embed.files.resumable_vectors import ResumableVectors, VectorsKey

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["CorpusEmbedding", "StoppedError"]

# Texts embedded between two writes; a kill loses at most these.
_CHUNK = 4096


class StoppedError(EdgeEmbedError):
    """Ctrl-C came when part of the work was stored already; the message says what stays."""


class CorpusEmbedding:
    """Embeds texts as they stream by into :mod:`~edge_embed.files.resumable_vectors`."""

    def __init__(self, options: ModelOptions, folder: Path) -> None:
        self._options, self._folder = options, folder
        self._vectors: ResumableVectors | None = None
        self.fingerprint = ""
        """Of the model, once it has run."""

    def run(self, texts: Iterator[str], count: int, digest: str) -> "npt.NDArray[np.float16]":
        """Return the vectors of ``count`` texts, float16 (count, dim) of unit length.

        Args:
            texts: The texts.
            count: How many they are.
            digest: What tells them from any other texts.
        """
        from edge_embed.model.fingerprint import model_fingerprint

        model = self._options.load()
        model.config.require_cosine("this command")
        self.fingerprint = model_fingerprint(model)
        prompt = model.prompt()
        key = VectorsKey(
            model=self.fingerprint,
            texts=hashlib.sha256(f"{prompt} {digest}".encode()).hexdigest(),
            rows=count,
            dim=model.dim,
        )
        self._vectors = stored = ResumableVectors(self._folder, key)
        if stored.done:
            echo(
                f"going on from an earlier run: {stored.done} of {count} texts are embedded",
                err=True,
            )
        cut = 0
        try:
            with progress_bar(count, "embedded", done=stored.done) as bar:
                for chunk in stored.missing(texts, _CHUNK):
                    encoded = model.encode_detailed(chunk, prompt=prompt, normalize=True)
                    stored.append(encoded.vectors)
                    cut += len(encoded.truncated)
                    bar.update(len(chunk))
        except KeyboardInterrupt:
            raise StoppedError(
                f"interrupted; {stored.done} of {count} texts are embedded in {self._folder}: "
                "the same command goes on from there"
            ) from None
        if cut:
            warnings.warn(
                truncation_message(cut, count, model.max_seq_length),
                TruncationWarning,
                stacklevel=2,
            )
        return stored.vectors()

    def finish(self) -> None:
        """Remove the work folder: the result is written."""
        if self._vectors is not None:
            self._vectors.remove()
