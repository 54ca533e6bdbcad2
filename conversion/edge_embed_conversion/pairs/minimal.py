"""Minimal pairs from the sentences of a corpus: small edits that change or keep the meaning."""

import random
from collections.abc import Iterator, Sequence

from edge_embed_conversion.pairs.edits import CHANGES, KEEPS, edited, joined, renamer, words_of
from edge_embed_conversion.pairs.wordnet import WordNet

__all__ = ["minimal_pairs"]

_FEWEST_WORDS = 4
_MOST_WORDS = 45
_TOKENISED = 0.15
_RENAMED = 2.0
"""How often a name is replaced, beside the frequencies of ``CHANGES``."""


def minimal_pairs(
    sentences: Sequence[str], net: WordNet, *, seed: int
) -> Iterator[tuple[str, str, int, str]]:
    """Yield sentence1, sentence2, label (0 or 1) and kind; up to one pair of each label a sentence.

    Pairs of label 0 get meaning-keeping edits as well, and pairs of label 1 as many edits in all,
    so that the number of edits does not predict the label.
    """
    rng = random.Random(seed)  # noqa: S311 - examples, not secrets
    changes = (*CHANGES, ("name", _RENAMED, renamer(sentences)))
    for sentence in sentences:
        words = words_of(sentence)
        if not _FEWEST_WORDS <= len(words) <= _MOST_WORDS:
            continue
        extra = rng.choice((0, 0, 1, 1, 2))
        other = edited(words, changes, 1, rng, net)
        if other is not None:
            kept = edited(other[0], KEEPS, extra, rng, net) or (other[0], "")
            yield (*_written(sentence, words, kept[0], rng), 0, other[1])
        same = edited(words, KEEPS, 1 + extra, rng, net)
        if same is not None:
            yield (*_written(sentence, words, same[0], rng), 1, f"same:{same[1]}")


def _written(
    sentence: str, words: list[str], changed: list[str], rng: random.Random
) -> tuple[str, str]:
    if rng.random() < _TOKENISED:
        return " ".join(words), " ".join(changed)
    # Both are joined by the same function: otherwise spacing would show which one was edited.
    return joined(words), joined(changed)
