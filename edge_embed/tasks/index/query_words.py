"""The words of a query for full-text search."""

from collections.abc import Callable, Sequence

__all__ = ["query_words", "rarest"]

# More words would take seconds to look up, and add little.
_MAX_WORDS = 128
_MAX_WORD = 100  # characters


def query_words(query: str) -> list[str]:
    """Return a query's first distinct words, without characters of FTS5's query syntax."""
    words = "".join(c if c.isalnum() else " " for c in query[: _MAX_WORDS * _MAX_WORD]).split()
    different = dict.fromkeys(word[:_MAX_WORD] for word in words)
    return list(different)[:_MAX_WORDS]


def rarest(words: Sequence[str], count: Callable[[str, int], int], most: int) -> list[str]:
    """Return the rarest words that are in at most ``most`` entries together, but at least one.

    Frequent words hardly distinguish entries, and ranking many entries is slow.

    Args:
        words: Distinct words.
        count: Counts the entries with a word, up to a maximum.
        most: How many entries may be ranked.
    """
    counts = {word: count(word, most + 1) for word in words}
    chosen: list[str] = []
    total = 0
    for word in sorted((word for word in words if counts[word]), key=counts.__getitem__):
        total += counts[word]
        if chosen and total > most:
            break
        chosen.append(word)
    return chosen
