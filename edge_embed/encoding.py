"""The spine: texts to token ids before the engine, and after it vectors to what is asked for.

The library, the server and the commands call the same two, :func:`prepare` and :func:`finish`, so
that a prompt, a truncation or a precision means the same wherever it is given.
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
    """Some texts were longer than the model reads."""


# Python shows a repeated warning once a program; a truncation must be said at every call.
warnings.filterwarnings("always", category=TruncationWarning, append=True)


@dataclass(frozen=True)
class Encoded:
    """Vectors of some texts and how many tokens they took."""

    vectors: npt.NDArray[Any]
    """(n, dim), of the type that the precision names."""
    lengths: npt.NDArray[np.int64]
    """Tokens read of each text, special tokens included, shape (n,)."""
    full_lengths: npt.NDArray[np.int64]
    """Tokens that each text has, shape (n,)."""

    @property
    def truncated(self) -> npt.NDArray[np.int64]:
        """Indices of the texts that were cut at the token limit."""
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
        tokenizer: The model's.
        texts: n texts.
        prompt: Put before each.
        truncation: ``error`` refuses texts over the token limit. Else they are truncated; to warn
            of it is the caller's, who knows when all texts are done (:func:`truncation_message`).
        side: Which end of a long text is cut off; None is the side that the tokenizer names.
        first: The number of the first text in the whole input, for errors.

    Raises:
        TextError: an item is no text.
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
    """Take texts that are tokenized already, by the same tokenizer; else like :func:`prepare`.

    Raises:
        InputError: the ids are not this model's.
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
    """Turn the engine's vectors into what is asked for.

    Args:
        vectors: Float32 (n, dim).
        dim: Keep the first so many dimensions.
        normalize: Scale to unit length, after ``dim``.
        precision: Type of the result; see :func:`~edge_embed.model.precision.quantize_embeddings`.
        ranges: The model's, for int8 and uint8.

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
    """Number the distinct texts, in order."""
    try:
        return {text: row for row, text in enumerate(dict.fromkeys(texts))}
    except TypeError:  # such as a list among the texts
        check_texts(texts)
        raise


def truncation_message(truncated: int, total: int, limit: int) -> str:
    """Say how many texts were truncated."""
    return (
        f"{truncated} of {total} texts are longer than {limit} tokens and were cut: shorten or "
        "split them (truncation='error' refuses them)"
    )


def check_choice(name: str, value: str, choices: object) -> None:
    """Refuse a value that is not among the choices of a Literal.

    Raises:
        InputError: it is not.
    """
    known = get_args(choices)
    if value not in known:
        raise InputError(f"unknown {name} {value!r}: choose one of {', '.join(known)}")


def _refused_by_place(
    tokenize: Callable[[], TokenizedTexts], truncation: Truncation, first: int
) -> TokenizedTexts:
    """Tokenize; a text that is refused is named by its number in the whole input."""
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
    """Return the stored int8 ranges, or ones of these vectors with a warning."""
    if ranges is not None:
        return ranges.select(normalize=normalize, dim=vectors.shape[1])
    warnings.warn(
        f"the model has no stored int8 ranges, so they were taken from these {len(vectors)} "
        "texts: vectors of other calls will not be comparable; fit them once with "
        "fit_ranges(texts).save(folder) or 'edge-embed ranges'",
        stacklevel=5,
    )
    return fit_ranges(vectors)
