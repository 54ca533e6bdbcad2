"""Count English words for ``convert --embedding-rank``: the list that ships with conversion.

    python conversion/recipes/word_counts.py CORPORA

CORPORA is the folder that ``mix_corpus.py`` reads. The words (as written, lower case and all) of
its mix are counted, and the most frequent kept; counts are facts about the texts, not the texts.
"""

import argparse
from collections import Counter
from pathlib import Path

from mix_corpus import mix

MOST = 30_000
TARGET = Path(__file__).parents[1] / "edge_embed_conversion" / "data" / "word_counts.tsv"


def main() -> None:
    """Write the list."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpora", type=Path)
    options = parser.parse_args()
    counts = Counter(
        word.strip(".,;:!?\"'()[]") for text in mix(options.corpora) for word in text.split()
    )
    del counts[""]
    rows = [f"{word}\t{count}\n" for word, count in counts.most_common(MOST)]
    TARGET.write_text("".join(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
