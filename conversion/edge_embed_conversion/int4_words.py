"""Store the word table (token embeddings) of a quantized graph in INT4, half of what INT8 takes.

Each row has one scale, and its 16 levels are placed where the row's squared error is least. A word
table bears this better than the layers do: each of a text's tokens reads one row, and the layers
average over them.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops
from openvino.utils import replace_node

from edge_embed_conversion.factorise import word_gather, word_table

__all__ = ["EmbeddingBits", "narrow_words", "round_rows"]

EmbeddingBits = Literal[4, 8]
"""Bits of a value of the word table in quantized variants."""

Floats = npt.NDArray[np.float32]

_LOWEST, _HIGHEST = -8, 7
# Shares of a row's largest magnitude that the levels may span.
_SPANS = np.linspace(0.5, 1.0, 11)
_BLOCK = 8192  # rows rounded at a time


def round_rows(rows: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Round each row to 16 levels.

    Args:
        rows: (n, width).

    Returns:
        Codes from -8 to 7, int8 (n, width), and scales, float32 (n, 1); their product is nearly
        ``rows``. A row of zeros stays one.
    """
    largest = np.abs(rows).max(axis=1, keepdims=True)
    codes, scales = np.zeros(rows.shape, np.int8), np.ones_like(largest)
    least = np.full_like(largest, np.inf)
    for span in _SPANS:
        scale = np.where(largest > 0, largest * np.float32(span / -_LOWEST), 1).astype(np.float32)
        code = np.clip(np.round(rows / scale), _LOWEST, _HIGHEST)
        error = np.square(code * scale - rows).sum(axis=1, keepdims=True)
        better = error < least
        codes = np.where(better, code.astype(np.int8), codes)
        scales, least = np.where(better, scale, scales), np.where(better, error, least)
    return codes, scales


def narrow_words(model: ov.Model, source: ov.Model, bits: EmbeddingBits) -> dict[str, int]:
    """Store the word table of ``model``, in place, in so many bits.

    Args:
        model: A quantized graph.
        source: The graph that it was made from.
        bits: 8 leaves it as it is.

    Returns:
        The entry of the variant's recipe in the receipt.

    Raises:
        ModelFormatError: the graph has no word table that ``input_ids`` indexes.
    """
    if bits == 8:
        return {}
    gather, words = word_gather(model), word_table(source)
    parts = [round_rows(words[at : at + _BLOCK]) for at in range(0, len(words), _BLOCK)]
    codes = ops.convert(_int4(np.concatenate([codes for codes, _ in parts])), np.float32)
    scales = ops.constant(np.concatenate([scales for _, scales in parts]))
    table = ops.multiply(codes, scales)
    replace_node(gather, ops.gather(table, gather.input_value(1), gather.input_value(2)))
    return {"embedding_bits": bits}


def _int4(codes: npt.NDArray[np.int8]) -> ov.Node:
    """Return a constant of INT4: two values a byte, the first in the lower half."""
    flat = (codes.reshape(-1) & 15).astype(np.uint8)
    flat = np.append(flat, np.zeros(len(flat) % 2, np.uint8))
    tensor = ov.Tensor(ov.Type.i4, ov.Shape(list(codes.shape)))
    tensor.data.view(np.uint8)[:] = flat[0::2] | flat[1::2] << 4
    return ops.constant(tensor)
