"""Test whether the texts of a packed row affect each other's vectors.

A graph may mix tokens by other means than attention: a convolution over tokens (ConvBERT), the
embeddings of neighbouring tokens (MobileBERT), a Fourier transform. So the same texts are computed
together in one row and each in a row of its own, and their vectors are compared. A conversion does
this with real texts and stores the outcome in the receipt, so that converted folders need no test.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov

from edge_embed.model.config import ModelConfig
from edge_embed.model.consistency import as_converted
from edge_embed.model.file_names import RECEIPT
from edge_embed.model.json_files import read_json
from edge_embed.runtime.batch import slots_in

__all__ = ["packing_fault", "recorded_packing"]

# Mostly very short texts, which their neighbours would affect most.
_LENGTHS = (9, 1, 2, 3, 1, 4)
_ROW = 24
_ALONE = 12

# The least cosine of a text's two vectors, which allows for rounding: in float32, and otherwise.
_COSINE = 0.9999
_COSINE_ROUNDED = 0.998
# Vectors of fewer dimensions, as pair models have, are compared by their largest difference,
# relative to the largest value; again in float32, and otherwise.
_NARROW = 8
_DIFFERENCE = 1e-3
_DIFFERENCE_ROUNDED = 0.25


def packing_fault(compiled: ov.CompiledModel, config: ModelConfig, *, exact: bool) -> str:
    """Return what is wrong with a packed graph, as text; "" if texts do not affect each other.

    Args:
        compiled: The packed graph.
        config: Its folder's configuration.
        exact: Whether it computes in float32 only, so that smaller differences are faults.
    """
    ids = np.arange(sum(_LENGTHS)) * 7 % 40 + max(config.first_position, 5)
    texts = np.split(ids, np.cumsum(_LENGTHS)[:-1])
    beside = _rows([texts], _ROW)
    alone = _rows([[text] for text in texts], _ALONE)
    try:
        together = _vectors(compiled, beside)[0, : len(texts)]
        apart = _vectors(compiled, alone)[:, 0]
    except RuntimeError:
        return "the packed graph cannot be computed"
    if not (np.isfinite(together).all() and np.isfinite(apart).all()):
        return "the packed graph gives vectors that are not numbers"
    if together.shape[1] < _NARROW:
        difference = float(np.abs(together - apart).max()) / max(1.0, float(np.abs(apart).max()))
        if difference > (_DIFFERENCE if exact else _DIFFERENCE_ROUNDED):
            return f"its texts would see each other in a row (outputs differ by {difference:.3f})"
        return ""
    lengths = np.linalg.norm(together, axis=1) * np.linalg.norm(apart, axis=1)
    cosine = float(((together * apart).sum(axis=1) / np.maximum(lengths, 1e-12)).min())
    if cosine < (_COSINE if exact else _COSINE_ROUNDED):
        return f"its texts would see each other in a row (cosine {cosine:.3f} to each alone)"
    return ""


def recorded_packing(folder: Path, graph: Path) -> bool | None:
    """Return the outcome of the test at conversion: whether ``graph`` may be packed.

    None if the receipt has none, or the graph has changed since (the hash of its .xml).
    """
    receipt = read_json(folder / RECEIPT, optional=True)
    name = graph.relative_to(folder).as_posix()
    variants = receipt.get("variants")
    if not isinstance(variants, dict):
        return None
    for variant in variants.values():
        if isinstance(variant, dict) and variant.get("file") == name:
            packed = variant.get("packed")
            if isinstance(packed, bool) and as_converted(folder, graph):
                return packed
    return None


def _rows(rows: list[list[npt.NDArray[np.int64]]], width: int) -> dict[str, npt.NDArray[np.int64]]:
    """Return the inputs of packed rows (rows, width)."""
    inputs = {
        name: np.zeros((len(rows), width), np.int64)
        for name in ("input_ids", "segment_ids", "position_ids", "token_type_ids")
    }
    for number, row in enumerate(rows):
        start = 0
        for segment, text in enumerate(row):
            place = number, slice(start, start + len(text))
            inputs["input_ids"][place] = text
            inputs["segment_ids"][place] = segment + 1
            inputs["position_ids"][place] = np.arange(len(text))
            start += len(text)
    return inputs


def _vectors(
    compiled: ov.CompiledModel, inputs: dict[str, npt.NDArray[np.int64]]
) -> npt.NDArray[np.float32]:
    """Return vectors (rows, slots, dim)."""
    names = [port.get_any_name() for port in compiled.inputs]
    result = compiled({name: inputs[name] for name in names})[0]
    rows, width = inputs["input_ids"].shape
    return np.array(result, np.float32).reshape(rows, slots_in(width), -1)
