"""Warnings about texts that a model may not understand: unknown tokens, another language.

Nothing is refused. Each warning depends on a count over all texts of a call, with a limit far above
that of ordinary texts in the model's language, so that single odd words cause none.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from edge_embed.runtime.tokenized_texts import TokenizedTexts

__all__ = ["ReadingGuard", "TextWarning", "asymmetry"]

# Share of unknown tokens from which to warn; ordinary English has at most 2 %.
_UNKNOWN = 0.05
_MIN_UNKNOWN = 3
# Share of texts in another script from which to warn.
_FOREIGN = 0.05
# Tokens a word above which text is hardly English. Thirty corpora of English have 1.1 to 1.75,
# German and Spanish 2.3 to 2.6, Finnish 3.3; French, with 1.7, is not noticed.
_PIECES = 2.0
_MIN_WORDS = 30
# Characters of a text whose script is determined.
_SCRIPT_CHARACTERS = 1000
# Characters of a text whose words are counted: more than any model reads.
_WORD_CHARACTERS = 100_000

_LATIN = frozenset(
    "en de fr es it pt nl sv da no nb nn fi is pl cs sk sl hr hu ro et lv lt".split()  # noqa: SIM905
)


class TextWarning(UserWarning):
    """The model may not understand some texts."""


class ReadingGuard:
    """Counts unknown tokens and foreign texts in one call, and makes warnings of the counts."""

    def __init__(self, languages: Sequence[str]) -> None:
        self._languages = tuple(languages)
        self._latin = bool(languages) and set(languages) <= _LATIN
        self._texts = self._foreign = self._words = self._pieces = 0
        self._unknown = self._unknown_texts = 0

    def add(self, texts: Sequence[str], tokenized: TokenizedTexts) -> None:
        """Count texts and their tokens."""
        self._texts += len(texts)
        self._unknown += int(tokenized.unknown.sum())
        self._unknown_texts += int(np.count_nonzero(tokenized.unknown))
        self._pieces += int(tokenized.content_lengths.sum())
        if not self._latin:
            return
        self._words += sum(len(text[:_WORD_CHARACTERS].split()) for text in texts)
        self._foreign += sum(not text.isascii() and _foreign(text) for text in texts)

    def messages(self) -> Iterator[tuple[str, str]]:
        """Yield kind (``unknown`` or ``language``) and message of each warning."""
        if self._unknown >= max(_MIN_UNKNOWN, _UNKNOWN * self._pieces):
            share = 100 * self._unknown / self._pieces
            yield (
                "unknown",
                f"{share:.0f} % of the tokens ({self._unknown}, in {self._unknown_texts} of "
                f"{self._texts} texts) are unknown to the model's tokenizer and carry no meaning",
            )
        spoken = ", ".join(self._languages)
        if self._foreign and self._foreign >= _FOREIGN * self._texts:
            yield (
                "language",
                f"{self._foreign} of {self._texts} texts are mostly not in Latin letters; the "
                f"model was trained on: {spoken}",
            )
        elif (
            self._languages == ("en",)
            and self._words >= _MIN_WORDS
            and self._pieces > _PIECES * self._words
        ):
            yield (
                "language",
                f"the tokenizer splits these {self._texts} texts into "
                f"{self._pieces / self._words:.1f} pieces a word, English ones into about 1.3: "
                "they may not be in the model's language (en)",
            )


def asymmetry(queries: Sequence[str], documents: Sequence[str]) -> str | None:
    """Return how queries differ in form from documents, as text; None if they hardly do."""
    lengths = [
        float(np.median([len(text.split()) for text in side])) for side in (queries, documents)
    ]
    if lengths[1] >= 2 * lengths[0]:
        return f"queries of {lengths[0]:.0f} words and documents of {lengths[1]:.0f}"
    asked = [
        float(np.mean([text.rstrip().endswith("?") for text in side]))
        for side in (queries, documents)
    ]
    if asked[0] >= 0.5 > 2 * asked[1]:
        return "questions and documents that are none"
    return None


def _foreign(text: str) -> bool:
    """Return whether most letters are of another script than Latin."""
    letters = [c for c in text[:_SCRIPT_CHARACTERS] if c.isalpha()]
    other = sum(c > "\u024f" and not "\u1e00" <= c <= "\u1eff" for c in letters)
    return 2 * other > len(letters)
