"""Refuse texts that no tokenizer can read; the error has the text's index in the input."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from edge_embed.errors import InputError, TextError

__all__ = ["check_texts", "no_panic"]


def check_texts(texts: Sequence[object]) -> None:
    """Check that all items are strings that can be encoded as UTF-8.

    Raises:
        TextError: an item is not a string, or holds a lone surrogate.
    """
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TextError(index, f"is not a string but {type(text).__name__}")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            code = ord(text[error.start])
            raise TextError(
                index,
                f"holds a lone surrogate (U+{code:04X} at character {error.start}), which no UTF-8 "
                "text can: repair the text where it was decoded",
            ) from None


@contextmanager
def no_panic(what: str) -> Iterator[None]:
    """Turn errors of the tokenizers library within the block into an InputError.

    The library raises plain ``Exception``, or a PanicException, which is not an ``Exception``.

    Args:
        what: The start of the error message.

    Raises:
        InputError: the block raised such an error.
    """
    try:
        yield
    except BaseException as error:
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        raise InputError(f"{what}: {' '.join(str(error)[:200].split())}") from None
