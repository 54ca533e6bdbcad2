"""Embedding a whole corpus for a task: progress on stderr, and a checkpoint to go on from."""

import hashlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from tqdm import tqdm

from edge_embed.cli.options import ModelOptions
from edge_embed.embedder import TruncationWarning, cut_message
from edge_embed.errors import EdgeEmbedError
from edge_embed.files.resumable_vectors import Checkpoint, CheckpointKey

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Embedding", "StoppedError", "progress_bar"]

# Texts embedded between two entries of the checkpoint; what a kill costs at most.
_CHUNK = 4096


class StoppedError(EdgeEmbedError):
    """Ctrl-C came when part of the work was stored already; the message says what stays."""


class Embedding:
    """Embeds texts as they stream by into :mod:`~edge_embed.files.resumable_vectors`."""

    def __init__(self, options: ModelOptions, folder: Path) -> None:
        self._options, self._folder = options, folder
        self._checkpoint: Checkpoint | None = None
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
        self.fingerprint = model_fingerprint(model)
        prompt = model.prompt()
        key = CheckpointKey(
            model=self.fingerprint,
            texts=hashlib.sha256(f"{prompt} {digest}".encode()).hexdigest(),
            rows=count,
            dim=model.dim,
        )
        self._checkpoint = checkpoint = Checkpoint(self._folder, key)
        if checkpoint.done:
            click.echo(
                f"going on from an earlier run: {checkpoint.done} of {count} texts are embedded",
                err=True,
            )
        cut = 0
        try:
            with progress_bar(count, "embedded", done=checkpoint.done) as bar:
                for chunk in checkpoint.missing(texts, _CHUNK):
                    encoded = model.encode_detailed(chunk, prompt=prompt, normalize=True)
                    checkpoint.append(encoded.vectors)
                    cut += len(encoded.truncated)
                    bar.update(len(chunk))
        except KeyboardInterrupt:
            raise StoppedError(
                f"interrupted; {checkpoint.done} of {count} texts are embedded in {self._folder}: "
                "the same command goes on from there"
            ) from None
        if cut:
            warnings.warn(
                cut_message(cut, count, model.max_seq_length), TruncationWarning, stacklevel=2
            )
        return checkpoint.vectors()

    def finish(self) -> None:
        """Remove the work folder: the result is written."""
        if self._checkpoint is not None:
            self._checkpoint.remove()


def progress_bar(total: int | None, what: str, *, done: int = 0) -> "tqdm[NoReturn]":
    """Return a bar on stderr, silent where that is no terminal."""
    options: dict[str, Any] = {"unit": "text", "unit_scale": True, "leave": False}
    return tqdm(
        total=total,
        initial=done,
        desc=what,
        disable=not sys.stderr.isatty(),
        file=sys.stderr,
        **options,
    )
