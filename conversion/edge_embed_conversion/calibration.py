"""Calibration inputs for quantization: short texts of many subjects, each a batch of its own.

Quantization takes the ranges of activations from these texts, so they should resemble the texts
that the model will embed. They are not padded.
"""

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from edge_embed.errors import InputError
from edge_embed.files.readers import read_texts
from edge_embed.model.config import ModelConfig
from edge_embed.runtime.tokenizer import Tokenizer
from edge_embed_conversion.console import say
from edge_embed_conversion.quantize import ModelInputs

__all__ = ["MAX_TEXTS", "MIN_TEXTS", "TextSet", "model_inputs", "read_text_set", "shipped_texts"]

MIN_TEXTS = 8
MAX_TEXTS = 2000


@dataclass(frozen=True)
class TextSet:
    """Texts with a name and a fingerprint, so that a receipt can say which they were."""

    name: str
    texts: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Hash of the texts, one a line, in UTF-8."""
        return hashlib.sha256("\n".join(self.texts).encode()).hexdigest()


def shipped_texts(name: str) -> TextSet:
    """Return a text set of this package: ``calibration`` or ``evaluation``."""
    file = resources.files("edge_embed_conversion") / "data" / f"{name}.txt"
    texts = file.read_text(encoding="utf-8-sig").splitlines()
    return TextSet(f"edge_embed {name}", tuple(texts))


def read_text_set(path: str | Path, *, column: str | None = None) -> TextSet:
    """Read the user's texts from any file that ``embed`` reads; empty texts are skipped.

    Of more than ``MAX_TEXTS`` texts, ``MAX_TEXTS`` are taken, evenly spaced over the file.

    Raises:
        InputError: the file cannot be read, or holds too few texts.
    """
    texts = [text for text in read_texts(path, column=column, allow_empty=True) if text.strip()]
    if len(texts) < MIN_TEXTS:
        raise InputError(
            f"{path} holds {len(texts)} texts; calibration needs at least {MIN_TEXTS}, better 300"
        )
    if len(texts) > MAX_TEXTS:
        say(f"calibration: {MAX_TEXTS} of the {len(texts)} texts in {path}, at equal distances")
        rows = np.linspace(0, len(texts) - 1, MAX_TEXTS).astype(int)
        texts = [texts[row] for row in rows]
    return TextSet(Path(path).name, tuple(texts))


def model_inputs(config: ModelConfig, texts: TextSet, names: frozenset[str]) -> list[ModelInputs]:
    """Tokenize each text into model inputs of its own, int64 arrays of shape (1, tokens).

    Args:
        config: the model folder's configuration.
        texts: what to tokenize.
        names: the graph's input names, the keys of each result.
    """
    samples: list[ModelInputs] = []
    for ids in Tokenizer(config)(texts.texts).ids:
        row = np.asarray(ids, np.int64)[None, :]
        every = {
            "input_ids": row,
            "attention_mask": np.ones_like(row),
            "token_type_ids": np.zeros_like(row),
        }
        samples.append({name: array for name, array in every.items() if name in names})
    return samples
