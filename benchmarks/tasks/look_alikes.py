"""Deduplication that asks the pair model: does it keep what only looks alike, and at what price?

    python -m benchmarks.tasks.look_alikes texts.txt --wordnet /usr/share/wordnet --json FILE

Plants near-duplicates (``near_duplicates.py``), which should go, and look-alikes, which should
stay: a text with one number or name changed, one word turned into its opposite, or "not" put in or
taken out. Then runs ``edge-embed dedup`` with and without ``--confirm`` on all of it, in turn. The
rules of the planting are this script's own: the pair model was trained on none of its pairs.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import command_line, save
from benchmarks.tasks.near_duplicates import Change, plant, read_lines

_NUMBER = re.compile(r"\b\d+\b")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}\b")
_NEGATABLE = re.compile(
    r"\b(is|are|was|were|will|would|can|could|should|does|did|has|have)\b(?! not| n't)"
)
_NEGATION = re.compile(r"\b(is|are|was|were|will|would|can|could|should|does|did) not\b")
_PAIRS = (
    "up down,first last,before after,more less,best worst,new old,big small,high low,left right,"
    "open closed,win lose,wins loses,won lost,good bad,hot cold,buy sell,found lost,right wrong,"
    "always never,early late,rise fall,increase decrease,love hate,rich poor,true false,"
    "black white,light dark,start stop,push pull"
)
_OPPOSITES = {
    one: other
    for pair in _PAIRS.split(",")
    for one, other in (pair.split(), reversed(pair.split()))
}
_OPPOSED = re.compile(rf"\b({'|'.join(sorted(_OPPOSITES))})\b")


def change_number(text: str, generator: random.Random) -> str:
    found = generator.choice(list(_NUMBER.finditer(text)) or [None])
    if found is None:
        return text
    number = int(found[0])
    return text[: found.start()] + str(number + generator.randint(1, 9)) + text[found.end() :]


def change_negation(text: str, generator: random.Random) -> str:
    if _NEGATION.search(text):
        return _NEGATION.sub(r"\1", text, count=1)
    return _NEGATABLE.sub(r"\1 not", text, count=1)


def change_to_opposite(text: str, generator: random.Random) -> str:
    return _OPPOSED.sub(lambda found: _OPPOSITES[found[0]], text, count=1)


def name_changer(texts: Sequence[str]) -> Change:
    """Take the names that stand amid the corpus' texts, twice at least."""
    counts = Counter(name for text in texts for name in _NAME.findall(text))
    names = sorted(name for name, count in counts.items() if count > 1)

    def change(text: str, generator: random.Random) -> str:
        return _NAME.sub(lambda _: generator.choice(names), text, count=1)

    return change


def look_alikes(texts: list[str], count: int, *, seed: int) -> list[tuple[str, int, str]]:
    """Return about ``count`` changed texts, the row each was made of, and its kind."""
    generator = random.Random(seed)
    changes: dict[str, Change] = {
        "number": change_number,
        "negation": change_negation,
        "opposite": change_to_opposite,
        "name": name_changer(texts),
    }
    there = set(texts)
    made: list[tuple[str, int, str]] = []
    rows = iter(generator.sample(range(len(texts)), len(texts)))
    most = {kind: count // len(changes) for kind in changes}
    for row in rows:
        for kind in sorted(most, key=lambda kind: -most[kind]):
            changed = changes[kind](texts[row], generator) if most[kind] else texts[row]
            if changed not in there:
                there.add(changed)
                made.append((changed, row, kind))
                most[kind] -= 1
                break
        if not any(most.values()):
            break
    return made


def deduplicate(planted: Path, output: Path, options: Sequence[str]) -> tuple[set[str], float]:
    """Run the command; return the texts that it kept, and its seconds."""
    command = [sys.executable, "-m", "edge_embed", "dedup", "-i", str(planted), "-o", str(output)]
    started = time.perf_counter()
    subprocess.run([*command, *options], check=True, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    with output.open(encoding="utf-8") as file:
        return {json.loads(line)["text"] for line in file}, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("-m", "--model", default="edge-embed-small")
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--plant", type=int, default=10_000, help="of each")
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--wordnet", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    texts = read_lines(options.source, options.lines)
    near = list(plant(texts, options.plant, wordnet=options.wordnet))
    alike = look_alikes(texts, options.plant, seed=1)
    command = ["-m", options.model, "-t", str(options.threshold)]
    kept: dict[str, set[str]] = {}
    seconds: dict[str, list[float]] = {"plain": [], "confirmed": []}
    with tempfile.TemporaryDirectory() as folder:
        planted = Path(folder, "planted.jsonl")
        with planted.open("w", encoding="utf-8") as file:
            for text in (*texts, *(one for one, _, _ in near), *(one for one, _, _ in alike)):
                file.write(json.dumps({"text": text}) + "\n")
        for _ in range(options.rounds):
            for name, more in (("plain", []), ("confirmed", ["--confirm"])):
                out = Path(folder, f"{name}.jsonl")
                kept[name], spent = deduplicate(planted, out, [*command, *more])
                seconds[name].append(round(spent, 1))
    ratios = [b / a for a, b in zip(seconds["plain"], seconds["confirmed"], strict=True)]
    report: dict[str, Any] = {
        "texts": len(texts),
        "threshold": options.threshold,
        "near-duplicates": {
            kind: shares([text for text, _, k in near if kind in ("all", k)], kept)
            for kind in ("all", *sorted({k for _, _, k in near}))
        },
        "look-alikes": {
            kind: shares([text for text, _, k in alike if kind in ("all", k)], kept)
            for kind in ("all", *sorted({k for _, _, k in alike}))
        },
        "seconds": seconds,
        "time, confirmed to plain": [round(ratio, 3) for ratio in ratios],
    }
    print(json.dumps(report, indent=1))
    if options.json is not None:
        save(options.json, report, command=command_line())


def shares(planted: Sequence[str], kept: dict[str, set[str]]) -> dict[str, float]:
    """Return how many were planted, how many a plain run removes, and how many of those go."""
    plain = [text for text in planted if text not in kept["plain"]]
    both = [text for text in plain if text not in kept["confirmed"]]
    return {
        "planted": len(planted),
        "removed without --confirm": len(plain),
        "of these removed with it": round(len(both) / max(1, len(plain)), 4),
    }


if __name__ == "__main__":
    main()
