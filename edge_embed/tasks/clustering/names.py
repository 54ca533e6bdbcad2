"""Names for clusters: the most central text, and the most distinctive words."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_embed.tasks.clustering.leiden import OUTLIER

__all__ = ["ClusterName", "cluster_names"]

_WORD = re.compile(r"[^\W\d_][\w'’-]*[^\W_]|[^\W\d_]")


@dataclass(frozen=True)
class ClusterName:
    """The name of a cluster."""

    text: str
    """Its most central text."""
    words: tuple[str, ...]
    """Its most distinctive words, the most distinctive first."""


def cluster_names(
    texts: Iterable[str], labels: Sequence[int], central: Sequence[int], *, words: int = 5
) -> list[ClusterName]:
    """Name every cluster.

    Words are ranked by TF-IDF over clusters (as in BERTopic, Grootendorst 2022): those in many of
    the cluster's texts and in few other clusters come first. A word counts once a text.

    Args:
        texts: The texts, read once.
        labels: Each text's cluster; outliers are ignored.
        central: The row of each cluster's most central text.
        words: How many words each gets.
    """
    counts: list[Counter[str]] = [Counter() for _ in central]
    wanted = {row: number for number, row in enumerate(central)}
    names = [""] * len(central)
    for row, (text, label) in enumerate(zip(texts, labels, strict=True)):
        if row in wanted:
            names[wanted[row]] = text
        if label != OUTLIER:
            counts[label].update(set(_WORD.findall(unicodedata.normalize("NFKC", text).casefold())))
    everywhere: Counter[str] = Counter()
    for own in counts:
        everywhere.update(own.keys())

    def ranked(own: Counter[str]) -> list[str]:
        telling = {
            word: count * math.log((len(counts) + 1) / everywhere[word])
            for word, count in own.items()
        }
        return sorted(own, key=lambda word: (-telling[word], word))

    return [
        ClusterName(name, tuple(ranked(own)[:words]))
        for name, own in zip(names, counts, strict=True)
    ]
