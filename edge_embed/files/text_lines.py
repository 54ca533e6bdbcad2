"""Read the lines of a text file in the Unicode encoding of its byte order mark.

The encodings are UTF-8, with or without a mark, and UTF-16 and UTF-32 with a mark. Others are
refused, not guessed: a wrong guess would silently embed wrong texts.
"""

import codecs
import io
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, cast

from edge_embed.errors import InputError

__all__ = ["decoded_lines"]

# The mark of UTF-32 begins like that of UTF-16, so it comes first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded_lines(file: BinaryIO, name: str) -> Iterator[str]:
    """Yield the lines of ``file`` with their line ends, without a byte order mark.

    Raises:
        InputError: a line cannot be decoded; the message has the file's ``name`` and the line.
    """
    buffered: Any = file if hasattr(file, "peek") else io.BufferedReader(cast(Any, file))
    start = buffered.peek(4)[:4]
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in start:
        raise InputError(
            f"{name} is not UTF-8 but looks like UTF-16 without its byte order mark, or is no "
            "text: convert it, for example with iconv -f UTF-16LE -t UTF-8"
        )
    if encoding in ("utf-8", "utf-8-sig"):
        yield from _utf8(buffered, name)
    else:
        yield from _marked(buffered, name, encoding)


def _utf8(file: BinaryIO, name: str) -> Iterator[str]:
    """Decode line by line, which is faster than TextIOWrapper and gives errors a line number."""
    for number, line in enumerate(file, 1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name}, line {number}: not UTF-8 (byte 0x{line[error.start]:02x}); convert the "
                "file, for example with iconv -f WINDOWS-1252 -t UTF-8"
            ) from None
        yield text.removeprefix("\ufeff") if number == 1 else text


def _marked(file: BinaryIO, name: str, encoding: str) -> Iterator[str]:
    # newline="\n": lines end at "\n" only, as with UTF-8, and line ends are kept.
    lines = io.TextIOWrapper(file, encoding=encoding, newline="\n")
    number = 0
    try:
        for line in lines:
            number += 1
            yield line
    except UnicodeError as error:
        raise InputError(
            f"{name}, after line {number}: not {encoding.upper()}, which its byte order mark says "
            f"it is ({error}); copy or convert it again"
        ) from None
    finally:
        with suppress(ValueError):  # the caller has closed the file
            lines.detach()
