"""Factorise the word table (token embeddings): (rows, width) becomes (rows, rank) @ (rank, width).

In a small encoder the word table is most of the file, and most of its rows are rare tokens. The
factors are a singular value decomposition whose rows are weighted by the square root of the
token's frequency, so that frequent tokens are reproduced best; the weighted mean of the rows
becomes a bias. A table whose rank is at most ``rank`` is reproduced exactly, whatever the weights.
The narrow table and the product are part of the graph, so quantization applies to the narrow table.

Weighted low-rank approximation with one weight a row: Srebro and Jaakkola 2003, "Weighted low-rank
approximations", section 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops
from openvino.utils import replace_node
from tokenizers import Tokenizer

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.files.readers import read_texts

__all__ = [
    "PRODUCT",
    "Factors",
    "Frequencies",
    "factorise",
    "factorise_words",
    "frequencies",
    "word_gather",
    "word_table",
]

Floats = npt.NDArray[np.float32]

TABLE, PRODUCT, BIAS = "word_table/codes", "word_table/product", "word_table/mean"
"""Names of the graph's new nodes."""


@dataclass(frozen=True)
class Factors:
    """``table @ up + mean`` is nearly the word table."""

    table: Floats
    """(rows, rank)."""
    up: Floats
    """(rank, width)."""
    mean: Floats
    """(width,): the weighted mean of the rows."""
    kept: float
    """The share of the weighted variance that is kept, 0 to 1."""

    def spread_evenly(self) -> "Factors":
        """Return factors of the same product, whose table has columns of about equal size.

        Then few levels a row serve all its columns. A random rotation does it.
        """
        norms = np.linalg.norm(self.up, axis=1, keepdims=True).clip(1e-12)
        dice = np.random.default_rng(0)
        rotation = np.linalg.qr(dice.standard_normal((len(norms), len(norms))))[0]
        table = (self.table * norms.T) @ rotation
        up = rotation.T @ (self.up / norms)
        return replace(self, table=table.astype(np.float32), up=up.astype(np.float32))


def factorise(words: Floats, counts: npt.NDArray[np.float64], rank: int) -> Factors:
    """Return the best factors of ``words`` (rows, width) at ``rank`` for text with ``counts``.

    Args:
        words: the word table.
        counts: (rows,), how often each token occurs; one is added, so that no row has weight 0.
        rank: width of the new table, at least 1 and less than ``words.shape[1]``.

    Raises:
        InputError: the rank does not fit the table.
    """
    width = words.shape[1]
    if not 1 <= rank < width:
        raise InputError(
            f"an embedding rank of {rank} does not fit a word table of {width} dimensions; "
            f"give 1 to {width - 1}"
        )
    weights = np.sqrt((counts + 1) / (counts + 1).mean())[:, None]
    mean = (words * weights).sum(axis=0) / weights.sum()
    centred = words.astype(np.float64) - mean
    weighted = centred * weights
    # The right singular vectors suffice, and they are the eigenvectors of a width x width matrix.
    values, vectors = np.linalg.eigh(weighted.T @ weighted)
    values, vectors = values[::-1].clip(0), vectors[:, ::-1]
    basis = vectors[:, :rank]
    # Each factor gets the square root of a singular value, so that no column of the table is tiny.
    scale = np.sqrt(np.sqrt(values[:rank])).clip(1e-6)
    return Factors(
        table=((centred @ basis) / scale).astype(np.float32),
        up=(basis * scale).T.astype(np.float32).copy(),
        mean=mean.astype(np.float32),
        kept=float(values[:rank].sum() / values.sum()) if values.sum() else 1.0,
    )


def factorise_words(
    model: ov.Model, counts: npt.NDArray[np.float64], rank: int, *, evenly: bool = False
) -> Factors:
    """Replace the word table of ``model``, in place, by its factors.

    Args:
        model: A graph with a float word table.
        counts: (tokens,), how often each token occurs.
        rank: Width of the new table.
        evenly: Make the table's columns about equally large (:meth:`Factors.spread_evenly`).

    Raises:
        ModelFormatError: the graph has no word table that ``input_ids`` indexes.
        InputError: the rank does not fit the table, or ``counts`` belongs to another vocabulary.
    """
    gather, words = word_gather(model), word_table(model)
    if len(counts) > len(words):
        raise InputError(
            f"the tokenizer knows {len(counts)} pieces, the word table has {len(words)} rows"
        )
    counts = np.pad(counts, (0, len(words) - len(counts)))
    factors = factorise(words, counts, rank)
    if evenly:
        factors = factors.spread_evenly()
    table = ops.constant(factors.table, name=TABLE)
    read = ops.gather(table, gather.input_value(1), gather.input_value(2))
    product = ops.matmul(read, ops.constant(factors.up), False, False, name=PRODUCT)
    replace_node(gather, ops.add(product, ops.constant(factors.mean), name=BIAS))
    return factors


def word_gather(model: ov.Model) -> ov.Node:
    """Return the node that reads the word table.

    Raises:
        ModelFormatError: the graph has no word table that ``input_ids`` indexes.
    """
    ids = model.input("input_ids").get_node()
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Gather" and _reads(node.input_value(1), ids):
            shape = node.input_value(0).get_partial_shape()
            if shape.is_static and len(shape) == 2:
                return node
    raise ModelFormatError(
        "this graph has no word table that input_ids reads; leave --embedding-rank and "
        "--embedding-bits out"
    )


def word_table(model: ov.Model) -> Floats:
    """Return the word table of a graph that is not quantized, float32 (rows, width).

    Raises:
        ModelFormatError: the graph has none that is a constant.
    """
    table = _constant(word_gather(model).input_value(0))
    if table is None:
        raise ModelFormatError(
            "this graph's word table is quantized already: --re-export, or leave "
            "--embedding-rank and --embedding-bits out"
        )
    return table.astype(np.float32)


def _reads(port: ov.Output, source: ov.Node) -> bool:
    node = port.get_node()
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return bool(node == source or node.get_friendly_name() == source.get_friendly_name())


def _constant(port: ov.Output) -> npt.NDArray[np.generic] | None:
    node = port.get_node()
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return np.asarray(node.get_data()) if node.get_type_name() == "Constant" else None


@dataclass(frozen=True)
class Frequencies:
    """How often each token of a vocabulary occurs."""

    name: str
    """The counted texts, for the receipt."""
    counts: npt.NDArray[np.float64]
    """(tokens,)."""


def frequencies(tokenizer_file: Path, file: str | Path | None = None) -> Frequencies:
    """Count a vocabulary's tokens in the texts of ``file``, or in the English word list that ships.

    Args:
        tokenizer_file: the model's tokenizer.json.
        file: texts as ``embed`` reads them; None for the 30,000 English words that ship.

    Raises:
        InputError: the file cannot be read or holds no text.
    """
    if file is not None:
        texts = [text for text in read_texts(file, allow_empty=True) if text.strip()]
        if not texts:
            raise InputError(f"{file} holds no text to count pieces in")
        return Frequencies(Path(file).name, _piece_counts(tokenizer_file, texts, [1] * len(texts)))
    stored = resources.files("edge_embed.runtime") / "word_counts.tsv"
    pairs = [line.split("\t") for line in stored.read_text(encoding="utf-8").splitlines()]
    words, often = [word for word, _ in pairs], [int(count) for _, count in pairs]
    return Frequencies("edge_embed English words", _piece_counts(tokenizer_file, words, often))


def _piece_counts(
    tokenizer_file: Path, texts: Sequence[str], often: Sequence[int]
) -> npt.NDArray[np.float64]:
    """Count each token in ``texts``, where text i occurs ``often[i]`` times: float64 (tokens,)."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    counts = np.zeros(tokenizer.get_vocab_size(), np.float64)
    encodings = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    for encoding, times in zip(encodings, often, strict=True):
        np.add.at(counts, encoding.ids, times)
    return counts
