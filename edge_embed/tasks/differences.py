"""Differences that a cosine hardly shows: a negation or a number that only one of two texts has.

The embeddings of "it works" and "it does not work" are close. These flags are given with a pair's
score and do not change it. They are for English, and do not find antonyms ("open", "closed").
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

__all__ = ["Differences", "differences"]

_NEGATIVE = (
    "no not never none nobody nothing nowhere neither nor cannot without hardly scarcely barely "
    "lacks lacking unable cant wont dont doesnt didnt isnt arent wasnt werent hasnt havent hadnt "
    "shouldnt wouldnt couldnt mustnt aint"
)
_NEGATIONS = frozenset(_NEGATIVE.split())
# Without "one", which is mostly not used as a number.
_SMALL = (
    "zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
_NUMBERS = dict(zip(_SMALL.split(), [0, *range(2, 21)], strict=True)) | {
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
    "hundred": 100,
    "thousand": 1000,
    "million": 1_000_000,
    "billion": 1_000_000_000,
}
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
# Digits with thousands separators and decimals, not part of a longer run.
_DIGITS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Differences:
    """Reasons why two texts may differ in meaning despite a high cosine."""

    negation: bool
    """Whether only one of the two texts is negated."""
    numbers: bool
    """Whether the two have different numbers."""


def differences(first: str, second: str) -> Differences:
    """Compare negations and numbers of two English texts."""
    return Differences(
        _negations(first) % 2 != _negations(second) % 2, _numbers(first) != _numbers(second)
    )


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return _WORD.findall(plain.replace("\u2019", "'"))


def _negations(text: str) -> int:
    """Count negations; two of them cancel out ("not without")."""
    return sum(word in _NEGATIONS or word.endswith("n't") for word in _words(text))


def _numbers(text: str) -> Counter[float]:
    plain = unicodedata.normalize("NFKC", text)
    found = Counter(float(digits.replace(",", "")) for digits in _DIGITS.findall(plain))
    found.update(float(_NUMBERS[word]) for word in _words(text) if word in _NUMBERS)
    return found
