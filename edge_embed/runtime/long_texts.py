"""Shorten long texts before tokenization, which takes a hundred times a text's memory.

A text is shortened at white space, where its tokens do not depend on what follows.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

__all__ = [
    "GROUP_CHARACTERS",
    "MAX_CHARACTERS",
    "SPARE_TOKENS",
    "beginning",
    "ending",
    "first_window",
    "groups",
]

_Item = TypeVar("_Item")

# The first attempt at a long text tokenizes this many characters for each token of the limit, three
# times as many as English has, and at least the second number.
_CHARACTERS = 16
_MIN_CHARACTERS = 8192
MAX_CHARACTERS = 1 << 20
"""The largest number of characters of a text that are tokenized."""
GROUP_CHARACTERS = 1 << 18
"""The largest number of characters of several texts that are tokenized together."""
SPARE_TOKENS = 16
"""Tokens that a shortened text must have beyond the limit, as its last tokens may differ."""
_NEAR = 200
# Longer words are split, and their tokens may differ from the published tokenizer's.
_LONGEST_WORD = 1 << 16
_SPACE = re.compile(r"\s")


def first_window(max_length: int) -> int:
    """Return how many characters the first attempt tokenizes, for a limit of ``max_length``."""
    return max(_CHARACTERS * max_length, _MIN_CHARACTERS)


def beginning(text: str, size: int) -> str:
    """Return about the first ``size`` characters of a text, ending before white space.

    A word that continues past ``size`` is kept whole up to 65,536 characters, as its first tokens
    may depend on how it ends.
    """
    if len(text) <= size:
        return text
    for place in range(size, max(size - _NEAR, 1), -1):
        if text[place].isspace():
            return text[:place]
    stop = max(size, _LONGEST_WORD)
    found = _SPACE.search(text, size, stop)
    return text[: found.start() if found else stop]


def ending(text: str, size: int) -> str:
    """Return about the last ``size`` characters of a text, starting with white space."""
    if len(text) <= size:
        return text
    start = len(text) - size
    for place in range(start, min(start + _NEAR, len(text))):
        if text[place].isspace():
            return text[place:]
    longest = max(len(text) - max(size, _LONGEST_WORD), 0)
    words = _SPACE.split(text[longest:start])  # the last of them continues past start
    space = len(words) > 1
    return text[start - len(words[-1]) - space :]


def groups(items: Sequence[_Item], size: Callable[[Any], int] = len) -> Iterator[Sequence[_Item]]:
    """Yield groups of texts to tokenize together, each of one text or of bounded length.

    Args:
        items: Texts, or what else ``size`` gives the number of characters of.
        size: The number of characters of an item.
    """
    start = total = 0
    for number, item in enumerate(items):
        total += size(item)
        if total > GROUP_CHARACTERS and number > start:
            yield items[start:number]
            start, total = number, size(item)
    yield items[start:]
