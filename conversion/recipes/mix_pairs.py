"""Mix the pairs that the pair model which ships is trained on.

    python conversion/recipes/mix_pairs.py DATA WORDNET WEBSTER MODEL -o FOLDER
    edge-embed train-pairs --init edge-embed-small --pairs FOLDER/train.tsv \
        --dev FOLDER/paws-wiki.tsv … -o DIR

DATA has ``pairs/`` and ``corpora/`` (sources and licences are on the model's card); WORDNET is the
folder of WordNet 3.0's files (Debian's wordnet-base), WEBSTER the file gcide.dict.dz (Debian's
dict-gcide); MODEL is an embedding model whose cosines label ordinary pairs.
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

from mined_pairs import mine

from edge_embed import Embedder
from edge_embed_conversion.pairs.definitions import definition_pairs
from edge_embed_conversion.pairs.everyday import everyday_pairs
from edge_embed_conversion.pairs.minimal import minimal_pairs
from edge_embed_conversion.pairs.noise import noisy_minimal_pairs, with_noise
from edge_embed_conversion.pairs.templates import template_pairs
from edge_embed_conversion.pairs.webster import webster_definitions
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
    "cad-nli/train": (7_000, 1),
    "snli/dev": (8_000, 1),
    "med/dev": (800, 1),
}
"""Set, most rows, how often each is repeated; only rows with a label are used."""

ONE_WAY = {"snli/dev": 0.6, "cad-nli/train": 0.6, "neg-nli/dev": 0.6}
"""The label where the second follows from the first and nothing is known of the reverse: without
these, such sets would teach that sentences in other words never say the same."""

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

MINED = {
    "tatoeba-laser-english": 4_000,
    "sgd-dialogue-utterances": 3_000,
    "query-wellformedness": 2_000,
    "abc-news-headlines": 2_000,
    "software-docs": 2_000,
    "reddit-titles": 3_000,
}
"""Corpus to pairs that are mined from it."""

NOISY = {
    "reddit-titles": 5_000,
    "abc-news-headlines": 1_500,
    "tatoeba-laser-english": 2_000,
    "sgd-dialogue-utterances": 1_500,
    "query-wellformedness": 1_500,
    "wikisplit-sentences": 1_500,
    "software-docs": 1_000,
}
"""Corpus to sentences that are copied with typing errors and the like."""

FIRST_LINE = {"reddit-titles": 100_000}
"""Corpus to the first line that is used: benchmarks plant their duplicates among those before."""

EVERYDAY = 18_000
NOISE = 0.2
"""Share of the pairs that get typing errors and the like on one side."""
MOST_MINED_LINES = 10_000
TEMPLATES = 4_000
SPLIT = 5_000
HELD_OUT = 25
SEED = 20


def read(file: Path, one_way: float | None = None) -> Iterator[Row]:
    """Yield the labelled rows of a set; with ``one_way``, entailments without a label as that."""
    for candidate in (file, file.with_name(file.name + ".gz")):
        if candidate.is_file():
            opened = gzip.open if candidate.suffix == ".gz" else open
            with opened(candidate, "rt", encoding="utf-8") as stream:
                for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
                    # Part of this set keeps its authors' rights.
                    if row["kind"].startswith("paper:"):
                        continue
                    label = float(row["label"]) if row["label"] in ("0", "1") else None
                    if label is None and row.get("nli") == "entailment":
                        label = one_way
                    if label is not None:
                        yield row["sentence1"], row["sentence2"], label, row["kind"]
            return
    raise SystemExit(f"there is no {file}")


def lines(folder: Path, name: str) -> list[str]:
    """Return a corpus's lines that may be trained on."""
    file = folder / f"{name}.txt.gz"
    if file.is_file():
        found = gzip.decompress(file.read_bytes()).decode().splitlines()
    else:
        found = (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return found[FIRST_LINE.get(name, 0) :]


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
    sets = {name: list(read(folder / f"{name}.tsv", ONE_WAY.get(name))) for name in HUMAN}
    for rows in sets.values():
        for one, other, _, _ in rows:
            groups.join(one, other)
    train: list[Row] = []
    held: dict[str, list[Row]] = defaultdict(list)
    for name, rows in sets.items():
        most, repeats = HUMAN[name]
        short = name.split("/")[0]
        rng.shuffle(rows)
        held[short] = [r for r in rows if groups.held_out(r[0]) and r[2] in (0.0, 1.0)]
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
    for name in ("data", "wordnet", "webster"):
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
    train += [(a, b, float(y), "everyday") for a, b, y in everyday_pairs(EVERYDAY, seed=SEED)]
    model = Embedder(options.model)
    defined = definition_pairs(net, webster_definitions(options.webster), seed=SEED)
    sys.stderr.write(f"definitions: {len(defined)}\n")
    train += [(a, b, float(y), kind) for a, b, y, kind in defined]
    for name, most in MINED.items():
        texts = [text for text in lines(corpora, name) if 10 < len(text) < 160]
        texts = rng.sample(texts, min(MOST_MINED_LINES, len(texts)))
        train += mine(name, texts, model, net, most, rng)
    train = with_noise(train, net, share=NOISE, seed=SEED)
    for name, most in NOISY.items():
        texts = lines(corpora, name)
        noisy = list(noisy_minimal_pairs(rng.sample(texts, min(most, len(texts))), net, seed=SEED))
        train += noisy
        sys.stderr.write(f"noisy {name}: {len(noisy)}\n")
    rng.shuffle(train)
    write(options.output / "train.tsv", train)
    same = sum(row[2] > 0.5 for row in train)
    sys.stderr.write(f"{len(train)} pairs to train on, {same} of them the same\n")


if __name__ == "__main__":
    main()
