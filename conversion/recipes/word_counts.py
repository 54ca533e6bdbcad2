"""Count English words and marks: the list of how often they are met that ships with the package.

    python conversion/recipes/word_counts.py CORPORA

CORPORA is the folder that ``mix_corpus.py`` reads. The words (as written, lower case and all) of
its mix are counted, and the most frequent kept, then the marks around and between them; counts are
facts about the texts, not the texts. ``convert --embedding-rank`` and the static variant read it.
"""

import argparse
from collections import Counter
from pathlib import Path

from mix_corpus import mix

MOST = 30_000
MARKS = ".,;:!?\"'()[]{}<>-–—/\\|&%$#@*+=_~^`’‘“”…"
TARGET = Path(__file__).parents[2] / "edge_embed" / "runtime" / "word_counts.tsv"


def main() -> None:
    """Write the list."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpora", type=Path)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    marks: Counter[str] = Counter()
    for text in mix(options.corpora):
        counts.update(word.strip(".,;:!?\"'()[]") for word in text.split())
        marks.update({mark: text.count(mark) for mark in MARKS})
    for mark in ("", *MARKS):
        del counts[mark]
    found = [*counts.most_common(MOST), *marks.most_common()]
    rows = [f"{word}\t{count}\n" for word, count in found if count]
    TARGET.write_text("".join(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
