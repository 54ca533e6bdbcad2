"""The sentences to learn from: read, cleaned, without repeats, some of them joined."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_embed.errors import InputError
from edge_embed.files.readers import read_texts
from edge_embed_conversion.console import say

__all__ = ["MIN_TEXTS", "read_corpus"]

MIN_TEXTS = 100

# Sentences are short; the student must know the positions of longer texts too.
_JOINED_SHARE = 0.027
_JOINED_SIZES = (2, 2, 3, 3, 4, 5, 6, 8)


def read_corpus(
    files: Sequence[str | Path],
    *,
    seed: int,
    column: str | None = None,
    max_characters: int = 520,
) -> list[str]:
    """Return the texts of ``files`` in random order.

    White space is collapsed; empty lines, lines over ``max_characters`` and repeats (letters and
    digits compared) are left out. About one text in forty is several texts joined, so that later
    positions are trained.

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
    texts += list(_joined(texts, generator, max_characters))
    generator.shuffle(texts)
    return texts


def _joined(texts: list[str], generator: random.Random, max_characters: int) -> Iterator[str]:
    for _ in range(int(len(texts) * _JOINED_SHARE)):
        size = generator.choice(_JOINED_SIZES)
        text = " ".join(generator.choice(texts) for _ in range(size))
        if len(text) <= max_characters:
            yield text
