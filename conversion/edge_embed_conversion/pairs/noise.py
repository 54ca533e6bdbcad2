"""What does not change a sentence's meaning: typing errors, punctuation, dropped articles.

Noise is put on one side of pairs of either label, so that it says nothing about the label.
"""

import random
import re
import string
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from edge_embed_conversion.pairs.edits import (
    CHANGES,
    KEEPS,
    Edit,
    Words,
    edited,
    joined,
    replaced,
    words_of,
)
from edge_embed_conversion.pairs.lexicon import words
from edge_embed_conversion.pairs.wordnet import WordNet

__all__ = ["noisy", "noisy_minimal_pairs", "with_noise"]

Row = tuple[str, str, float, str]
Noise = Callable[[str, random.Random, WordNet], str]

_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_LONG_WORD = re.compile(r"\b[A-Za-z]{4,}\b")
_LETTERS_PER_ERROR = 60
_SHORTEST_REPLACED = 4
_MARKS = ("", "", ".", ".", "!", "!!", "...", "?")
_DROPPED = frozenset(words("the a an"))
_KEPT_IN_PLACE = frozenset(words("not no never without and or but than from to by before after"))


def noisy(sentence: str, rng: random.Random, net: WordNet) -> tuple[str, str] | None:
    """Return the sentence as a careless writer may write it, and the kind of the first change.

    None where nothing applies.
    """
    text = sentence
    done: list[str] = []
    order = sorted(_NOISE, key=lambda noise: -(rng.random() ** (1 / noise[1])))
    count = rng.choice((1, 1, 1, 2, 2, 3))
    for kind, _, change in order:
        if len(done) == count:
            break
        new = change(text, rng, net)
        if new and new != text:
            text = new
            done.append(kind)
    return (text, done[0]) if done else None


def noisy_minimal_pairs(sentences: Sequence[str], net: WordNet, *, seed: int) -> Iterator[Row]:
    """Yield for each sentence a noisy copy (label 1), and a noisy one of another meaning (0)."""
    rng = random.Random(seed)  # noqa: S311 - examples, not secrets
    for sentence in sentences:
        copy = noisy(sentence, rng, net)
        other = edited(words_of(sentence), CHANGES, 1, rng, net)
        if copy is None or other is None:
            continue
        changed = noisy(joined(other[0]), rng, net)
        if changed is not None:
            yield sentence, copy[0], 1.0, f"noise:{copy[1]}"
            yield sentence, changed[0], 0.0, f"noise:{other[1]}"


def with_noise(rows: Sequence[Row], net: WordNet, *, share: float, seed: int) -> list[Row]:
    """Return the rows with noise on one side of a ``share`` of them; labels stay as they are."""
    rng = random.Random(seed)  # noqa: S311 - examples, not secrets
    found: list[Row] = []
    for one, other, label, kind in rows:
        if rng.random() < share:
            if rng.random() < 0.5:
                one = (noisy(one, rng, net) or (one,))[0]
            else:
                other = (noisy(other, rng, net) or (other,))[0]
        found.append((one, other, label, kind))
    return found


def mistype(text: str, rng: random.Random, net: WordNet) -> str:
    """Make typing errors in words of four letters or more that do not turn them into others."""
    for _ in range(1 + len(text) // _LETTERS_PER_ERROR):
        long = list(_LONG_WORD.finditer(text))
        if not long:
            return text
        found = rng.choice(long)
        wrong = _slip(found[0], rng)
        if not net.known(wrong.lower()):
            text = text[: found.start()] + wrong + text[found.end() :]
    return text


def _slip(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word) - 1)
    way = rng.randrange(5)
    if way == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if way == 1:
        return word[:at] + word[at + 1 :]
    if way == 2:
        return word[:at] + word[at] + word[at:]
    beside = _beside(word[at], rng)
    return word[:at] + beside + word[at + (way == 3) :]


def _beside(letter: str, rng: random.Random) -> str:
    """Return a letter whose key is beside that of ``letter``."""
    for row in _KEYS:
        at = row.find(letter.lower())
        if at >= 0:
            return rng.choice([row[i] for i in (at - 1, at + 1) if 0 <= i < len(row)])
    return rng.choice(string.ascii_lowercase)


def join_words(text: str, rng: random.Random, net: WordNet) -> str:
    """Leave out a space, or put one into a long word."""
    tokens = text.split(" ")
    at = rng.randrange(len(tokens))
    word = tokens[at]
    if rng.random() < 0.5 and len(word) > 7 and word.isalpha():
        cut = rng.randrange(2, len(word) - 1)
        return " ".join([*tokens[:at], word[:cut], word[cut:], *tokens[at + 1 :]])
    if at + 1 == len(tokens) or not (word + tokens[at + 1]).isalpha():
        return text
    return " ".join([*tokens[:at], word + tokens[at + 1], *tokens[at + 2 :]])


def repunctuate(text: str, rng: random.Random, net: WordNet) -> str:
    """Leave out the punctuation marks within a sentence, or change those at its end."""
    question = text.endswith("?")
    bare = text.rstrip(".!?")
    if rng.random() < 0.5:
        # A point or comma within a number, and the sign before it, are part of its value.
        bare = "".join(
            c
            for i, c in enumerate(bare)
            if c not in ",;:\"()'-" or any(near.isdecimal() for near in bare[max(0, i - 1) : i + 2])
        )
    marks = ("", "?", " ?", "??") if question else _MARKS
    return " ".join(bare.split()) + rng.choice(marks)


def recase(text: str, rng: random.Random, net: WordNet) -> str:
    """Change the case of letters."""
    return rng.choice((str.lower, str.lower, str.upper, str.title, str.swapcase))(text)


def drop_article(found: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Leave out an article."""
    spots = [at for at, word in enumerate(found) if word.lower() in _DROPPED]
    if not spots:
        return None
    at = rng.choice(spots)
    return [*found[:at], *found[at + 1 :]]


def swap_neighbours(found: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Let two neighbouring words change places, where that makes a slip and no other sentence."""
    spots = []
    for at, (one, other) in enumerate(pairwise(found)):
        if not (one.isalpha() and other.isalpha()) or {one.lower(), other.lower()} & _KEPT_IN_PLACE:
            continue
        first, second = net.analyse(one.lower()), net.analyse(other.lower())
        alike = first is not None and second is not None and first[1] == second[1]
        names = at > 0 and one[:1].isupper() and other[:1].isupper()
        if not alike and not names and (first is not None or second is not None):
            spots.append(at)
    if not spots:
        return None
    at = rng.choice(spots)
    return [*found[:at], found[at + 1], found[at], *found[at + 2 :]]


def reorder_list(found: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Write "B, C and A" for "A, B and C", where each is a single word."""
    spots = []
    for at in range(1, len(found) - 4):
        one, comma, two, last, three = found[at : at + 5]
        if comma == "," and last in ("and", "or"):
            forms = [net.analyse(word.lower()) for word in (one, two, three)]
            kinds = {form[1] if form else word[:1].isupper() for form, word in
                     zip(forms, (one, two, three), strict=True)}  # fmt: skip
            end = at + 5 == len(found) or not found[at + 5].isalpha()
            if len(kinds) == 1 and False not in kinds and end:
                spots.append(at)
    if not spots:
        return None
    at = rng.choice(spots)
    order = [found[at], found[at + 2], found[at + 4]]
    while order == [found[at], found[at + 2], found[at + 4]]:
        rng.shuffle(order)
    return [*found[:at], order[0], ",", order[1], found[at + 3], order[2], *found[at + 5 :]]


def near_synonym(found: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Replace a word by another that has its most frequent meaning, too."""
    spots = []
    for at, word in enumerate(found):
        form = net.analyse(word.lower())
        if form is None or len(word) < _SHORTEST_REPLACED or (word[:1].isupper() and at):
            continue
        lemma, pos, ending = form
        for other in net.near_synonyms(lemma, pos):
            head, *rest = other.split("_")
            inflected = None if rest and ending and pos != "v" else net.inflect(head, pos, ending)
            if inflected:
                spots.append((at, [inflected, *rest]))
    if not spots:
        return None
    at, new = rng.choice(spots)
    return replaced(found, at, new)


def _on_words(edit: Edit) -> Noise:
    def change(text: str, rng: random.Random, net: WordNet) -> str:
        new = edit(words_of(text), rng, net)
        return text if new is None else joined(new)

    return change


def _keep(text: str, rng: random.Random, net: WordNet) -> str:
    """Apply an edit that keeps the meaning: a contraction, an abbreviation, another phrase."""
    new = edited(words_of(text), KEEPS, 1, rng, net)
    return text if new is None else joined(new[0])


_NOISE: tuple[tuple[str, float, Noise], ...] = (
    ("typing", 6.0, mistype),
    ("spacing", 0.7, join_words),
    ("punctuation", 2.0, repunctuate),
    ("case", 0.5, recase),
    ("article", 1.0, _on_words(drop_article)),
    ("neighbours", 2.0, _on_words(swap_neighbours)),
    ("list", 2.0, _on_words(reorder_list)),
    ("synonym", 4.0, _on_words(near_synonym)),
    ("edit", 1.0, _keep),
)
"""Kind, relative frequency, function."""
