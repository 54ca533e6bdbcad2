"""How much of a long text is tokenized: a token takes a hundred times its characters' memory.

A text is shortened at white space, where its tokens do not depend on what follows.
"""

__all__ = ["MAX_CHARACTERS", "SPARE_TOKENS", "beginning", "ending", "first_window"]

# Characters that are tokenized at first of a long text, for each token that the model reads: three
# times as many as English has. And of any text.
_CHARACTERS = 16
_MIN_CHARACTERS = 8192
MAX_CHARACTERS = 1 << 20
"""Characters that are tokenized together at most."""
SPARE_TOKENS = 16
"""Tokens beyond the limit that are made, as the last ones of a shortened text may be others."""
_LONGEST_WORD = 200


def first_window(max_length: int) -> int:
    """Return how many characters are tokenized at first for a limit of ``max_length`` tokens."""
    return max(_CHARACTERS * max_length, _MIN_CHARACTERS)


def beginning(text: str, size: int) -> str:
    """Return the first characters of a text, at most ``size``, up to white space if there is any.

    White space itself belongs to what follows.
    """
    if len(text) <= size:
        return text
    for place in range(size, max(size - _LONGEST_WORD, 1), -1):
        if text[place].isspace():
            return text[:place]
    return text[:size]


def ending(text: str, size: int) -> str:
    """Return the last characters of a text, at most ``size``, from white space on if possible."""
    if len(text) <= size:
        return text
    start = len(text) - size
    for place in range(start, min(start + _LONGEST_WORD, len(text))):
        if text[place].isspace():
            return text[place:]
    return text[start:]
