"""Minimal pairs of a corpus's sentences: one edit changes the meaning, another keeps it."""

import random
from collections.abc import Iterator, Sequence

from edge_embed_conversion.pairs.edits import CHANGES, KEEPS, Edit, joined, words_of
from edge_embed_conversion.pairs.wordnet import WordNet

__all__ = ["minimal_pairs"]

_FEWEST_WORDS = 4
_MOST_WORDS = 45
_TOKENISED = 0.15


def minimal_pairs(
    sentences: Sequence[str], net: WordNet, *, seed: int
) -> Iterator[tuple[str, str, int, str]]:
    """Yield sentence, sentence, label and kind: one pair of each label where both can be made.

    A pair that says something else may hold edits that keep the meaning as well, and one that says
    the same holds as many edits, so that neither the number nor the look of edits gives it away.
    """
    rng = random.Random(seed)  # noqa: S311 - examples, not secrets
    for sentence in sentences:
        words = words_of(sentence)
        if not _FEWEST_WORDS <= len(words) <= _MOST_WORDS:
            continue
        extra = rng.choice((0, 0, 1, 1, 2))
        other = _edited(words, CHANGES, 1, rng, net)
        if other is not None:
            kept = _edited(other[0], KEEPS, extra, rng, net) or (other[0], "")
            yield (*_written(sentence, words, kept[0], rng), 0, other[1])
        same = _edited(words, KEEPS, 1 + extra, rng, net)
        if same is not None:
            yield (*_written(sentence, words, same[0], rng), 1, f"same:{same[1]}")


def _edited(
    words: list[str],
    edits: Sequence[tuple[str, float, Edit]],
    count: int,
    rng: random.Random,
    net: WordNet,
) -> tuple[list[str], str] | None:
    """Apply ``count`` edits that fit, in an order drawn by their weights; name the first."""
    order = sorted(edits, key=lambda edit: -(rng.random() ** (1 / edit[1])))
    done: list[str] = []
    for kind, _, edit in order:
        if len(done) == count:
            break
        new = edit(list(words), rng, net)
        if new and new != words:
            words = new
            done.append(kind)
    return (words, done[0]) if done else None


def _written(
    sentence: str, words: list[str], edited: list[str], rng: random.Random
) -> tuple[str, str]:
    if rng.random() < _TOKENISED:
        return " ".join(words), " ".join(edited)
    # Both go through the same joining: a difference in spaces would give the edited one away.
    return joined(words), joined(edited)
