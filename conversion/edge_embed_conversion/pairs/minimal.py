"""Minimal pairs from the sentences of a corpus: small edits that change or keep the meaning."""

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
    """Yield sentence1, sentence2, label (0 or 1) and kind; up to one pair of each label a sentence.

    Pairs of label 0 get meaning-keeping edits as well, and pairs of label 1 as many edits in all,
    so that the number of edits does not predict the label.
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
    """Apply up to ``count`` edits in random order by weight; return words and the first's kind."""
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
    # Both are joined by the same function: otherwise spacing would show which one was edited.
    return joined(words), joined(edited)
