"""The training corpus: sentences read, cleaned and deduplicated, some of them joined."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_embed.errors import InputError
from edge_embed.files.readers import read_texts
from edge_embed_conversion.console import say

__all__ = ["MIN_TEXTS", "noisy", "read_corpus"]

MIN_TEXTS = 100

# Sentences are short: some are joined, so that later positions are trained too.
_JOINED_SHARE = 0.027
_MAX_LINES, _MAX_PARAGRAPH = 12, 1400
_ALL_CAPITALS = 0.2
_JOINED_SIZES = (2, 2, 3, 3, 4, 5, 6, 8)


def read_corpus(
    files: Sequence[str | Path],
    *,
    seed: int,
    column: str | None = None,
    max_characters: int = 520,
    paragraphs: float = 0.0,
    noise: float = 0.0,
) -> list[str]:
    """Return the texts of ``files`` in random order.

    White space is collapsed; empty lines, lines over ``max_characters`` and duplicates (equal in
    their letters and digits) are left out. About one text in forty is several random texts joined,
    so that later positions are trained.

    Args:
        files: files of texts in any format that the runtime reads.
        seed: the seed of all random choices.
        column: the column of the texts, for tables.
        max_characters: longest text.
        paragraphs: how many paragraphs to add, as a share of the number of texts. A paragraph is
            consecutive lines of a file, joined.
        noise: how many texts to add with typing errors, other case or other punctuation, as a
            share of the number of texts.

    Raises:
        InputError: a file cannot be read, or fewer than 100 texts are left.
    """
    generator = random.Random(seed)  # noqa: S311 - an order, not a secret
    seen: set[str] = set()
    texts: list[str] = []
    long = repeated = 0
    for file in files:
        for line in read_texts(file, column=column, allow_empty=True):
            text = " ".join(line.split())
            key = "".join(filter(str.isalnum, text.lower()))
            if not key or len(text) > max_characters:
                long += bool(key)
            elif key in seen:
                repeated += 1
            else:
                seen.add(key)
                texts.append(text)
    if len(texts) < MIN_TEXTS:
        raise InputError(
            f"the corpus has {len(texts)} different texts; distillation needs at least {MIN_TEXTS}"
        )
    say(f"corpus: {len(texts)} texts; left out: {repeated} repeats, {long} too long")
    added = [
        *_joined(texts, generator, max_characters),
        *_paragraphs(texts, generator, int(len(texts) * paragraphs)),
        *(noisy(text, generator) for text in generator.sample(texts, int(len(texts) * noise))),
    ]
    texts += added
    generator.shuffle(texts)
    return texts


def _paragraphs(texts: list[str], generator: random.Random, count: int) -> Iterator[str]:
    for _ in range(count):
        first = generator.randrange(len(texts))
        size = min(2 + int(generator.expovariate(0.25)), _MAX_LINES)
        yield " ".join(texts[first : first + size])[:_MAX_PARAGRAPH]


def noisy(text: str, generator: random.Random) -> str:
    """Return ``text`` with other case, other final punctuation, or typing errors."""
    kind = generator.randrange(4)
    if kind == 0:
        return text.upper() if generator.random() < _ALL_CAPITALS else text.lower()
    if kind == 1:
        return text.rstrip(".?!") or text
    if kind == 2:
        return text + generator.choice(("!", "?", ".", "...", "??", " :)"))
    letters = list(text)
    for _ in range(1 + len(letters) // 40):
        place = generator.randrange(max(1, len(letters) - 1))
        slip = generator.randrange(3)
        if slip == 0:
            letters[place : place + 2] = reversed(letters[place : place + 2])
        elif slip == 1 and len(letters) > 1:
            del letters[place]
        else:
            letters.insert(place, letters[place])
    return "".join(letters)


def _joined(texts: list[str], generator: random.Random, max_characters: int) -> Iterator[str]:
    for _ in range(int(len(texts) * _JOINED_SHARE)):
        size = generator.choice(_JOINED_SIZES)
        text = " ".join(generator.choice(texts) for _ in range(size))
        if len(text) <= max_characters:
            yield text
