"""Split a long text into passages: whole sentences up to the model's limit, with some overlap.

A model truncates texts at its token limit, so the end of a long text would not be found. The caller
provides the function that counts tokens, as tasks do not depend on a tokenizer.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["PASSAGE_MARK", "Count", "passage_of", "split_text", "text_id"]

PASSAGE_MARK = "#passage-"
"""Separates the document's id and the passage's number in the id of a passage."""

Count = Callable[[Sequence[str]], Iterable[int]]
"""Function from texts to the number of tokens of each, special ones included."""
_Lengths = Callable[[Sequence[str]], list[int]]

_OVERLAP = 0.15
# Factor on the room if a passage has more tokens than its sentences have in sum.
_SHRINK = 0.9

_BREAK = re.compile(
    r"""(?<=[.!?…])["'”’»)\]]*\s+(?=[^\sa-z])  # the end of a sentence, not before lower case
    | (?<=[。！？])[」』”’)]*\s*                  # the same without a space
    | \n\s*\n                                   # a paragraph
    | \n(?=[^\S\n]*(?:[-*•#]|\d+[.)])\s)        # an item of a list, a heading""",
    re.VERBOSE,
)
# A full stop after these abbreviations, or after an initial, does not end a sentence.
_SHORT = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|e\.g|i\.e|cf|vs|al|Mr|Mrs|Ms|Dr|Prof|St|Fig|Eq|approx)\.$"
)
_LONGEST_SHORT = 7
_WORD = re.compile(r"\S+\s*")


def text_id(text: str) -> str:
    """Return the default id of a text, a hash of it: 16 hexadecimal digits."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def passage_of(id_: str, metadata: Mapping[str, Any]) -> tuple[str, int] | None:
    """Return document id and number of a passage; None for an entry that is a whole text."""
    document, number = metadata.get("document"), metadata.get("passage")
    if not (isinstance(document, str) and isinstance(number, int)):
        return None
    return (document, number) if id_ == f"{document}{PASSAGE_MARK}{number}" else None


class _Unit(NamedTuple):
    """A part of a text that is not divided further."""

    start: int
    stop: int
    tokens: int


def split_text(
    text: str, count: Count, limit: int, *, prompt: str = "", overlap: float = _OVERLAP
) -> list[str]:
    """Split a text that is longer than ``limit`` tokens into passages of at most ``limit``.

    A passage ends at the end of a sentence or paragraph; a sentence over the limit is divided at
    white space, and a word over the limit anywhere. A passage begins with the last sentences of the
    passage before, as many as fit the overlap.

    Args:
        text: The text.
        count: Counts tokens as the model does: ``Embedder.count_tokens``.
        limit: The model's token limit: ``Embedder.max_seq_length``.
        prompt: A prompt that is prepended to each passage, and counted with it.
        overlap: The share of a passage that repeats the end of the one before, below 1.

    Returns:
        The passages in order, without white space around them; the text itself if it fits.
    """

    def lengths(texts: Sequence[str]) -> list[int]:
        return [int(length) for length in count([prompt + part for part in texts])]

    if lengths([text])[0] <= limit:
        return [text]
    special = lengths([""])[0]
    room = max(1, limit - special)
    while True:
        spans = _packed(_units(text, lengths, special, room), room, int(overlap * room))
        passages = [part for start, stop in spans if (part := text[start:stop].strip())]
        # Joined parts may have more tokens than in sum.
        if room == 1 or not passages or max(lengths(passages)) <= limit:
            return passages or [text]
        room = max(1, int(_SHRINK * room))


def _units(text: str, count: _Lengths, special: int, room: int) -> list[_Unit]:
    """Divide a text into sentences, and sentences of more than ``room`` tokens further."""
    spans = list(_sentences(text))
    units: list[_Unit] = []
    for divide in (_words, _halves):
        lengths = [length - special for length in count([text[a:b] for a, b in spans])]
        over = any(length > room for length in lengths)
        units = [_Unit(*span, length) for span, length in zip(spans, lengths, strict=True)]
        if not over:
            return units
        spans = [
            part
            for unit in units
            for part in (
                divide(text, unit, room) if unit.tokens > room else [(unit.start, unit.stop)]
            )
        ]
    lengths = [length - special for length in count([text[a:b] for a, b in spans])]
    return [_Unit(*span, length) for span, length in zip(spans, lengths, strict=True)]


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for found in _BREAK.finditer(text):
        before = text[max(start, found.start() - _LONGEST_SHORT) : found.start()]
        if found.end() > start and not _SHORT.search(before):
            yield start, found.end()
            start = found.end()
    if start < len(text):
        yield start, len(text)


def _words(text: str, unit: _Unit, room: int) -> list[tuple[int, int]]:
    spans = [found.span() for found in _WORD.finditer(text, unit.start, unit.stop)]
    return spans or [(unit.start, unit.stop)]


def _halves(text: str, unit: _Unit, room: int) -> list[tuple[int, int]]:
    """Divide a word into parts with the same number of characters, each of at most ``room``."""
    parts = -(-unit.tokens // max(1, room // 2))
    size = max(1, -(-(unit.stop - unit.start) // parts))
    return [(at, min(at + size, unit.stop)) for at in range(unit.start, unit.stop, size)]


def _packed(units: Sequence[_Unit], room: int, shared: int) -> Iterator[tuple[int, int]]:
    """Yield spans of as many units as fit the room; each repeats the last units of the previous.

    At most ``shared`` tokens are repeated, and every span ends later than the previous one.
    """
    first = 0
    while first < len(units):
        end, tokens = first + 1, units[first].tokens
        while end < len(units) and tokens + units[end].tokens <= room:
            tokens += units[end].tokens
            end += 1
        yield units[first].start, units[end - 1].stop
        if end == len(units):
            return
        repeated, most = 0, min(shared, room - units[end].tokens)
        while end - 1 > first and repeated + units[end - 1].tokens <= most:
            end -= 1
            repeated += units[end].tokens
        first = end
