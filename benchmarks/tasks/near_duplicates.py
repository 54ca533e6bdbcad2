"""Plant near-duplicates in a text file: what a deduplication should find is then known.

    python -m benchmarks.tasks.near_duplicates texts.txt planted.jsonl --lines 100000 \
        --plant 10000 --wordnet /usr/share/wordnet

Writes JSON lines with ``text``, ``source`` (the row that a planted record was made of, or null) and
``kind``. Five kinds in equal shares: case, punctuation, typo, order (two neighbouring words change
places), synonym (a word becomes another of its first WordNet synset; needs the database files of
WordNet, Debian's wordnet-base).
"""

import argparse
import gzip
import json
import random
import string
from collections.abc import Callable, Iterator
from pathlib import Path

Change = Callable[[str, random.Random], str]


def change_case(text: str, generator: random.Random) -> str:
    return generator.choice([text.upper(), text.lower(), text.title(), text.swapcase()])


def change_punctuation(text: str, generator: random.Random) -> str:
    bare = "".join(c for c in text if c not in string.punctuation or c == "'")
    return " ".join(bare.split()) + generator.choice(["", ".", "!", "!!", "...", " ?"])


def add_typo(text: str, generator: random.Random) -> str:
    places = [i for i in range(1, len(text) - 1) if text[i].isalpha() and text[i + 1].isalpha()]
    if not places:
        return text
    i = generator.choice(places)
    letter = generator.choice(string.ascii_lowercase)
    return generator.choice(
        [
            text[:i] + text[i + 1] + text[i] + text[i + 2 :],
            text[:i] + text[i + 1 :],
            text[:i] + letter + text[i + 1 :],
            text[:i] + text[i] + text[i:],
        ]
    )


def change_order(text: str, generator: random.Random) -> str:
    words = text.split()
    if len(words) < 3:
        return text
    i = generator.randrange(len(words) - 1)
    words[i], words[i + 1] = words[i + 1], words[i]
    return " ".join(words)


def synonym_changer(folder: Path) -> Change:
    """Read the first synset of every word from WordNet's database files."""
    synonyms: dict[str, list[str]] = {}
    for part in ("noun", "verb", "adj", "adv"):
        words = {}
        for line in (folder / f"data.{part}").read_text(encoding="latin1").splitlines():
            if line.startswith("  "):
                continue
            fields = line.split()
            count = int(fields[3], 16)
            words[fields[0]] = [fields[4 + 2 * i].split("(")[0] for i in range(count)]
        for line in (folder / f"index.{part}").read_text(encoding="latin1").splitlines():
            if line.startswith("  "):
                continue
            fields = line.split()
            first = fields[-int(fields[2])]
            others = [w.replace("_", " ") for w in words[first] if w.lower() != fields[0]]
            if others:
                synonyms.setdefault(fields[0].replace("_", " "), others)

    def change(text: str, generator: random.Random) -> str:
        words = text.split()
        places = [i for i, w in enumerate(words) if len(w) > 3 and w.lower() in synonyms]
        if not places:
            return text
        i = generator.choice(places)
        words[i] = generator.choice(synonyms[words[i].lower()])
        return " ".join(words)

    return change


def plant(
    texts: list[str], count: int, *, wordnet: Path | None, seed: int = 0
) -> Iterator[tuple[str, int, str]]:
    """Yield ``count`` texts with the row that each was made of and its kind, all kinds in turn."""
    generator = random.Random(seed)
    changes: dict[str, Change] = {
        "case": change_case,
        "punctuation": change_punctuation,
        "typo": add_typo,
        "order": change_order,
    }
    if wordnet is not None:
        changes["synonym"] = synonym_changer(wordnet)
    there = set(texts)
    rows = generator.sample(range(len(texts)), len(texts))
    made = 0
    for row in rows:
        kind = list(changes)[made % len(changes)]
        changed = changes[kind](texts[row], generator)
        if changed in there:
            continue  # nothing to change in this text
        there.add(changed)
        yield changed, row, kind
        made += 1
        if made == count:
            return
    raise SystemExit(f"only {made} of {count} texts could be changed: give more lines")


def read_lines(path: Path, count: int | None) -> list[str]:
    """Return the first distinct lines of a .txt or .txt.gz file."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        lines = dict.fromkeys(line.strip() for line in file if line.strip())
    return list(lines)[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--plant", type=int, default=10_000)
    parser.add_argument("--wordnet", type=Path, help="leave out for no synonyms")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    texts = read_lines(options.source, options.lines)
    with options.output.open("w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"text": text, "source": None, "kind": ""}) + "\n")
        planted = plant(texts, options.plant, wordnet=options.wordnet, seed=options.seed)
        for text, row, kind in planted:
            file.write(json.dumps({"text": text, "source": row, "kind": kind}) + "\n")
    print(f"{len(texts)} lines and {options.plant} near-duplicates: {options.output}")


if __name__ == "__main__":
    main()
