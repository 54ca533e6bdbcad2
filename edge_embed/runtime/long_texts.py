"""How much of a long text is tokenized: a token takes a hundred times its characters' memory.

A text is shortened at white space, where its tokens do not depend on what follows.
"""

import re
from collections.abc import Iterator, Sequence

__all__ = ["MAX_CHARACTERS", "SPARE_TOKENS", "beginning", "ending", "first_window", "groups"]

# Characters that are tokenized at first of a long text, for each token that the model reads: three
# times as many as English has. And of any text.
_CHARACTERS = 16
_MIN_CHARACTERS = 8192
MAX_CHARACTERS = 1 << 20
"""Characters that are tokenized together at most."""
SPARE_TOKENS = 16
"""Tokens beyond the limit that are made, as the last ones of a shortened text may be others."""
_NEAR = 200
# Longer ones are cut: their pieces may then be others than the published tokenizer's.
_LONGEST_WORD = 1 << 16
_SPACE = re.compile(r"\s")


def first_window(max_length: int) -> int:
    """Return how many characters are tokenized at first for a limit of ``max_length`` tokens."""
    return max(_CHARACTERS * max_length, _MIN_CHARACTERS)


def beginning(text: str, size: int) -> str:
    """Return the first characters of a text, about ``size``, up to white space.

    White space itself belongs to what follows. A word that goes on at ``size`` is read whole up to
    65,536 characters: some tokenizers begin it otherwise by how it ends.
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
    """Return the last characters of a text, about ``size``, from white space on."""
    if len(text) <= size:
        return text
    start = len(text) - size
    for place in range(start, min(start + _NEAR, len(text))):
        if text[place].isspace():
            return text[place:]
    longest = max(len(text) - max(size, _LONGEST_WORD), 0)
    words = _SPACE.split(text[longest:start])  # the last of them goes on
    space = len(words) > 1
    return text[start - len(words[-1]) - space :]


def groups(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield texts that are tokenized together: one, or as many as take bounded memory."""
    start = size = 0
    for number, text in enumerate(texts):
        size += len(text)
        if size > MAX_CHARACTERS and number > start:
            yield texts[start:number]
            start, size = number, len(text)
    yield texts[start:]
