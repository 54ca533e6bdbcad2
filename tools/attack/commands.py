"""Two of a command at once, and kills in the middle: the result is that of one run alone."""

import hashlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.attack.outcome import Outcome

__all__ = ["attack_commands"]

_WAIT = 300
# What each command writes into its own folder; IN is the texts. Each gives the same bytes again.
_COMMANDS: Mapping[str, Sequence[str]] = {
    "dedup": ("dedup", "-i", "IN", "-o", "OUT/kept.jsonl", "--report", "OUT/report.jsonl"),
    "embed": ("embed", "-i", "IN", "-o", "OUT/vectors.npy"),
    "cluster": ("cluster", "-i", "IN", "-o", "OUT/clusters.jsonl"),
    "project": ("project", "MODEL", "--dim", "16", "--fit", "IN", "-o", "OUT/model"),
}
# Not of its facts, which hold the time of its making.
_VARIES = ("edge_embed.json",)


def attack_commands(model: Path, folder: Path, count: int, chance: random.Random) -> list[Outcome]:
    """Run each command twice at a random distance; kill it at a random time and run it again."""
    source = folder / "texts.jsonl"
    lines = (f'{{"text": "record {n % 1500} of a list of things"}}\n' for n in range(6000))
    source.write_text("".join(lines))
    outcomes = []
    for name, words in _COMMANDS.items():
        names = {"IN": str(source), "MODEL": str(model)}
        arguments = [names.get(word, word.replace("OUT", str(folder / "out"))) for word in words]
        if "MODEL" not in words:
            arguments += ["-m", str(model), "--threads", "1"]
        outcomes += _attack(name, arguments, folder / "out", count, chance)
    return outcomes


def _attack(
    name: str, command: Sequence[str], output: Path, count: int, chance: random.Random
) -> list[Outcome]:
    output.mkdir()
    started = time.monotonic()
    alone = _start(command, told=True)
    _, told = alone.communicate(timeout=_WAIT)
    seconds = time.monotonic() - started
    together, killed = Outcome(f"two of {name} at once"), Outcome(f"{name}: kill -9, run again")
    if alone.returncode:
        together.fell.append(f"the first run: {told[-200:]}")
        return [together]
    expected = _content(output)
    for outcome in (together, killed):
        outcome.started = time.monotonic()
        for _ in range(count):
            if not outcome.has_time():
                break
            shutil.rmtree(output)
            output.mkdir()
            outcome.tried += 1
            first = _start(command)
            time.sleep(chance.random() * seconds)
            if outcome is killed:
                first.send_signal(signal.SIGKILL)
                first.wait(_WAIT)
            second = _start(command)
            statuses = [run.wait(_WAIT) for run in (first, second)]
            outcome.refused += statuses.count(1)
            if _content(output) != expected:  # what is left behind is another content too
                outcome.fell.append("another result than that of one run")
    together.note = f"one run takes {seconds:.1f} s"
    shutil.rmtree(output)
    return [together, killed]


def _start(arguments: Sequence[str], *, told: bool = False) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "edge_embed", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if told else subprocess.DEVNULL,
        text=True,
    )


def _content(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder, hidden ones too."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and file.name not in _VARIES
    }
