"""Smaller output vectors: int8, uint8, binary and ubinary, with sentence-transformers' meaning.

int8 and uint8 divide each dimension's range into 255 steps. With ranges of the texts of each call,
vectors of two calls could not be compared, so ranges are fitted once on representative texts and
stored with the model, in ``embedding_ranges.json``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.files.atomic import atomic_file
from edge_embed.files.typed_json import typed
from edge_embed.model.consistency import check_fitted_on, source_weights
from edge_embed.model.file_names import RANGES_FILE
from edge_embed.model.json_files import read_json
from edge_embed.vectors import unit_length

__all__ = ["Precision", "Ranges", "fit_ranges", "quantize_embeddings"]

Precision = Literal["float32", "int8", "uint8", "binary", "ubinary"]

Floats = npt.NDArray[np.float32]


def quantize_embeddings(
    embeddings: Floats, precision: Precision, *, ranges: Floats | None = None
) -> npt.NDArray[Any]:
    """Quantize vectors to a smaller type.

    Follows ``sentence_transformers.util.quantize_embeddings``.

    Args:
        embeddings: Float32 (n, dim).
        precision: ``float32`` returns them as they are; ``int8`` and ``uint8`` give (n, dim);
            ``binary`` (int8) and ``ubinary`` (uint8) give the packed signs, (n, ceil(dim / 8)).
        ranges: Float32 (2, dim), minimum and maximum a dimension; needed for int8 and uint8.

    Raises:
        InputError: the precision is unknown, or ranges are missing or of another dimension.
    """
    if precision == "float32":
        return embeddings
    if precision in ("int8", "uint8"):
        if ranges is None:
            raise InputError(f"precision {precision} needs ranges: fit them with fit_ranges")
        if ranges.shape != (2, embeddings.shape[1]):
            raise InputError(
                f"ranges have shape {ranges.shape}, vectors need (2, {embeddings.shape[1]})"
            )
        steps = (ranges[1] - ranges[0]) / np.float32(255)
        steps = np.where(steps == 0, np.float32(1), steps)
        levels = np.clip(np.floor((embeddings - ranges[0]) / steps), 0, 255)
        if precision == "uint8":
            return np.asarray(levels, np.uint8)
        return np.asarray(levels - 128, np.int8)
    if precision == "ubinary":
        return np.asarray(np.packbits(embeddings > 0, axis=-1))
    if precision == "binary":
        packed = np.packbits(embeddings > 0, axis=-1).astype(np.int16)
        return np.asarray(packed - 128, np.int8)
    raise InputError(
        f"unknown precision {precision!r}: choose one of {', '.join(get_args(Precision))}"
    )


def fit_ranges(embeddings: Floats) -> Floats:
    """Return minimum and maximum of each dimension, float32 (2, dim).

    Raises:
        InputError: there are fewer than two vectors.
    """
    if len(embeddings) < 2:
        raise InputError(f"ranges need at least 2 vectors to be fitted on, got {len(embeddings)}")
    return np.stack([embeddings.min(axis=0), embeddings.max(axis=0)]).astype(np.float32)


@dataclass(frozen=True)
class Ranges:
    """Fitted ranges (minimum and maximum a dimension) of a model's vectors."""

    plain: Floats
    """Of the vectors as the model gives them: float32 (2, dim)."""
    normalized: Floats
    """Of the vectors scaled to unit length: float32 (2, dim)."""
    texts: int
    """How many texts they were fitted on."""

    @classmethod
    def fit(cls, embeddings: Floats) -> "Ranges":
        """Fit on vectors as the model gives them, float32 (n, dim)."""
        unit = unit_length(embeddings)
        return cls(fit_ranges(embeddings), fit_ranges(unit), len(embeddings))

    def select(self, *, normalize: bool, dim: int) -> Floats:
        """Return the ranges for vectors of ``dim`` dimensions, float32 (2, dim).

        Raises:
            InputError: the vectors are truncated and then normalized, for which no ranges are
                stored.
        """
        full = self.plain.shape[1]
        if normalize and dim < full:
            raise InputError(
                f"the stored int8 ranges are for {full} dimensions; vectors cut to {dim} and then "
                "normalized have others: leave out one of the two, or quantize them yourself with "
                "edge_embed.model.precision.fit_ranges and quantize_embeddings"
            )
        return (self.normalized if normalize else self.plain)[:, :dim]

    def save(self, folder: Path) -> Path:
        """Write ``embedding_ranges.json`` into a model folder and return its path.

        Raises:
            OutputError: it cannot be written.
        """
        path = folder / RANGES_FILE
        content = {
            "weights_sha256": source_weights(folder),
            "texts": self.texts,
            "plain": _rows(self.plain),
            "normalized": _rows(self.normalized),
        }
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, folder: Path, *, dim: int) -> "Ranges | None":
        """Read the ranges of a model folder; None where none were fitted.

        Raises:
            ModelFormatError: the file is damaged, or of another model.
        """
        path = folder / RANGES_FILE
        if not path.is_file():
            return None
        content = read_json(path)
        try:
            plain, normalized = (_bounds(content[key], key) for key in ("plain", "normalized"))
            texts = typed(int, content["texts"], "texts")
        except (KeyError, ValueError) as error:
            raise ModelFormatError(f"{path} is damaged: fit the ranges again") from error
        if plain.shape != (2, dim) or normalized.shape != (2, dim):
            there = plain.shape[-1] if plain.ndim == 2 else "no"
            raise ModelFormatError(
                f"{path} is for {there} dimensions, the model has {dim}: fit them again"
            )
        check_fitted_on(path, content.get("weights_sha256"), command="edge-embed ranges")
        return cls(plain, normalized, texts)


def _bounds(values: object, name: str) -> Floats:
    # Not by typed(), which is slow for thousands of values; numpy would accept texts and booleans.
    rows = values if isinstance(values, list) else [values]
    if not all(isinstance(row, list) and {int, float}.issuperset(map(type, row)) for row in rows):
        raise ValueError(f"{name} holds something else than rows of numbers")
    with np.errstate(over="ignore"):
        bounds = np.asarray(rows, np.float64).astype(np.float32)
    if not np.isfinite(bounds).all() or (len(bounds) == 2 and (bounds[0] > bounds[1]).any()):
        raise ValueError(f"{name} holds a minimum above its maximum")
    return bounds


def _rows(ranges: Floats) -> Sequence[Sequence[float]]:
    return [[round(float(value), 6) for value in row] for row in ranges]
