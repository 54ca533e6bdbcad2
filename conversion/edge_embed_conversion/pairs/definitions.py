"""Pairs of definitions: one sense defined in two ways, or two senses that are alike."""

import random
import re
from collections import defaultdict
from collections.abc import Iterable

from edge_embed_conversion.pairs.wordnet import WordNet

__all__ = ["definition_pairs"]

Pair = tuple[str, str, int, str]

_FEWEST_WORDS = 3
_MOST_SIBLINGS, _MOST_OTHERS = 20, 200
_WORD = re.compile(r"[a-z]{4,}")


def definition_pairs(
    net: WordNet, others: Iterable[tuple[str, str, str]], *, seed: int
) -> list[Pair]:
    """Return pairs of definitions: sentence1, sentence2, label (0 or 1) and kind, in any order.

    Those that say the same are two definitions in one of WordNet's glosses (for nouns only if they
    share a word, as else one is often a mere addition), or one of ``others`` (word, part of speech,
    definition) and the gloss of a word with a single sense. Each comes with one of the two beside
    the definition of another sense, of the same hypernym or part of speech, that shares the most
    words with it.
    """
    rng = random.Random(seed)  # noqa: S311 - examples, not secrets
    senses = {
        key: long
        for key, parts in net.definitions().items()
        if (long := [part for part in parts if len(part.split()) >= _FEWEST_WORDS])
    }
    same: list[tuple[str, str, str]] = []
    for key, parts in senses.items():
        if len(parts) > 1:
            one, other = rng.sample(parts, 2)
            if not key.startswith("n") or _shared(one, other):
                same.append((key, one, other))
    for word, pos, definition in others:
        sense = net.only_sense(word, pos)
        if sense in senses:
            one, other = definition, "; ".join(senses[sense])
            same.append((sense, one, other))
    of_pos: dict[str, list[str]] = defaultdict(list)
    for key in senses:
        of_pos[key[0]].append(key)
    pairs: list[Pair] = []
    for key, one, other in same:
        near = [sibling for sibling in net.siblings(key) if sibling in senses]
        near = rng.sample(near, min(_MOST_SIBLINGS, len(near)))
        near += rng.sample(of_pos[key[0]], min(_MOST_OTHERS, len(of_pos[key[0]])))
        options = ["; ".join(senses[sense]) for sense in near if sense != key]
        if ";" not in other:
            options = [rng.choice(option.split("; ")) for option in options]
        closest = max(options, key=lambda option: _shared(one, option), default=None)
        if closest is not None:
            pairs += [(one, other, 1, "definition:same"), (one, closest, 0, "definition:other")]
    return pairs


def _shared(one: str, other: str) -> float:
    a, b = set(_WORD.findall(one.lower())), set(_WORD.findall(other.lower()))
    return len(a & b) / max(1, len(a | b))
