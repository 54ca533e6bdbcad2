"""The steps before and after inference: tokenize texts, and convert vectors to the wanted form.

The library, the server and the commands all call :func:`prepare` and :func:`finish`, so that
prompt, truncation, dimensions and precision mean the same everywhere.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError, TextError, TextTooLongError
from edge_embed.model.precision import Precision, Ranges, fit_ranges, quantize_embeddings
from edge_embed.runtime.text_checks import check_texts
from edge_embed.runtime.tokenized_texts import TokenizedTexts, TruncationSide
from edge_embed.runtime.tokenizer import Tokenizer
from edge_embed.vectors import unit_length

__all__ = [
    "Encoded",
    "Truncation",
    "TruncationWarning",
    "check_choice",
    "distinct",
    "finish",
    "prepare",
    "prepare_ids",
    "truncation_message",
]

Truncation = Literal["warn", "error", "ignore"]


class TruncationWarning(UserWarning):
    """Some texts were longer than the model's token limit and were truncated."""


# By default Python shows a repeated warning once; a truncation is reported at every call.
warnings.filterwarnings("always", category=TruncationWarning, append=True)


@dataclass(frozen=True)
class Encoded:
    """The vectors of texts, and their numbers of tokens."""

    vectors: npt.NDArray[Any]
    """(n, dim), of the type that the precision names."""
    lengths: npt.NDArray[np.int64]
    """Tokens embedded of each text, special tokens included, shape (n,)."""
    full_lengths: npt.NDArray[np.int64]
    """Tokens of each text before truncation, shape (n,)."""

    @property
    def truncated(self) -> npt.NDArray[np.int64]:
        """Indices of the texts that were truncated, int64."""
        return np.flatnonzero(self.full_lengths > self.lengths)


def prepare(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    prompt: str = "",
    truncation: Truncation = "ignore",
    side: TruncationSide | None = None,
    first: int = 0,
) -> TokenizedTexts:
    """Tokenize texts for the batch planner.

    Args:
        tokenizer: The model's tokenizer.
        texts: n texts.
        prompt: Prepended to each text.
        truncation: ``error`` refuses texts over the token limit; else they are truncated. This
            function never warns: with ``warn`` the caller does, once all its texts are embedded
            (:func:`truncation_message`).
        side: Which end of a long text is cut off; None takes the side of the tokenizer's settings.
        first: The index of ``texts[0]`` in the caller's whole input, for errors.

    Raises:
        TextError: an item is not a string.
        TextTooLongError: a text is over the limit, with ``truncation="error"``.
    """
    return _refused_by_place(
        lambda: tokenizer(texts, prompt=prompt, truncation_side=side), truncation, first
    )


def prepare_ids(
    tokenizer: Tokenizer,
    ids: Sequence[Sequence[int]],
    *,
    truncation: Truncation = "ignore",
    side: TruncationSide | None = None,
) -> TokenizedTexts:
    """Like :func:`prepare`, for texts given as token ids of this model's tokenizer.

    Raises:
        InputError: an id is not in the model's vocabulary.
        TextTooLongError: a text is over the limit, with ``truncation="error"``.
    """
    return _refused_by_place(lambda: tokenizer.from_ids(ids, truncation_side=side), truncation, 0)


def finish(
    vectors: npt.NDArray[np.float32],
    *,
    dim: int | None = None,
    normalize: bool = False,
    precision: Precision = "float32",
    ranges: Ranges | None = None,
) -> npt.NDArray[Any]:
    """Truncate, normalize and quantize the engine's vectors, in this order.

    Args:
        vectors: Float32 (n, model dim).
        dim: The number of leading dimensions to keep; None is all.
        normalize: Scale to unit length.
        precision: Type of the result; see :func:`~edge_embed.model.precision.quantize_embeddings`.
        ranges: The model's stored ranges for int8 and uint8; None takes those of ``vectors``, with
            a warning.

    Returns:
        An array (n, dim) of the type that ``precision`` names, contiguous.
    """
    vectors = vectors[:, :dim]
    if normalize:
        vectors = unit_length(vectors)
    limits = None
    if precision in ("int8", "uint8") and len(vectors):
        limits = _limits(vectors, ranges, normalize=normalize)
    return np.ascontiguousarray(quantize_embeddings(vectors, precision, ranges=limits))


def distinct(texts: Sequence[str]) -> dict[str, int]:
    """Map each distinct text to its row, in order of first occurrence.

    Raises:
        TextError: an item is not a string.
    """
    try:
        return {text: row for row, text in enumerate(dict.fromkeys(texts))}
    except TypeError:  # such as a list among the texts
        check_texts(texts)
        raise


def truncation_message(truncated: int, total: int, limit: int) -> str:
    """Return the message of a truncation warning.

    Args:
        truncated: Number of truncated texts.
        total: Number of all texts.
        limit: The token limit.
    """
    return (
        f"{truncated} of {total} texts are longer than {limit} tokens and were cut: shorten or "
        "split them (truncation='error' refuses them)"
    )


def check_choice(name: str, value: str, choices: object) -> None:
    """Check that ``value`` is one of the values of the Literal type ``choices``.

    Raises:
        InputError: it is not; ``name`` is what the message calls the option.
    """
    known = get_args(choices)
    if value not in known:
        raise InputError(f"unknown {name} {value!r}: choose one of {', '.join(known)}")


def _refused_by_place(
    tokenize: Callable[[], TokenizedTexts], truncation: Truncation, first: int
) -> TokenizedTexts:
    """Call ``tokenize``; errors name a text by its index in the caller's whole input."""
    try:
        tokenized = tokenize()
    except TextError as error:
        raise error.numbered(first + error.index) from None
    if truncation == "error":
        for row in tokenized.truncated[:1].tolist():
            least = "at least " if row in tokenized.incomplete else ""
            raise TextTooLongError(
                first + row,
                f"has {least}{tokenized.full_lengths[row]} tokens, the model reads "
                f"{tokenized.lengths[row]}: shorten or split it, or allow its truncation",
            )
    return tokenized


def _limits(
    vectors: npt.NDArray[np.float32], ranges: Ranges | None, *, normalize: bool
) -> npt.NDArray[np.float32]:
    """Return the stored int8 ranges, or those of these vectors with a warning: (2, dim)."""
    if ranges is not None:
        return ranges.select(normalize=normalize, dim=vectors.shape[1])
    warnings.warn(
        f"the model has no stored int8 ranges, so they were taken from these {len(vectors)} "
        "texts: vectors of other calls will not be comparable; fit them once with "
        "fit_ranges(texts).save(folder) or 'edge-embed ranges'",
        stacklevel=5,
    )
    return fit_ranges(vectors)
