"""The words of a query, as full-text search looks them up."""

__all__ = ["query_words"]

# More words than a model reads would take seconds to look up, and add little.
_MAX_WORDS = 128
_MAX_WORD = 100  # characters


def query_words(query: str) -> list[str]:
    """Return a query's first different words, without what FTS5 would read as syntax."""
    words = "".join(c if c.isalnum() else " " for c in query[: _MAX_WORDS * _MAX_WORD]).split()
    different = dict.fromkeys(word[:_MAX_WORD] for word in words)
    return list(different)[:_MAX_WORDS]
