"""Two of a command at once, and kills in the middle: the result is that of one run alone.

Each run is a process of its own, forked from one that has imported the package: so the distances in
time fall into the work, and not into the start of the interpreter.
"""

import hashlib
import multiprocessing
import os
import random
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge_embed.model.config import ModelConfig
from edge_embed.tasks import Index
from tools.attack.outcome import Outcome

__all__ = ["PRELOADED", "Command", "attack_command", "commands_of_model"]

_WAIT = 240.0
_NO_TIME = -1000
PRELOADED = ["edge_embed.cli", "edge_embed.embedder", "edge_embed.cli.dedup", "edge_embed.tasks"]
"""What the process that runs are forked from has imported."""

# Files that hold the time of their making.
_VARIES = ("edge_embed.json", "checkpoint.pt", "log.csv", "training.csv")


@dataclass(frozen=True)
class Command:
    """A command that writes below a folder, for which OUT stands in its arguments."""

    name: str
    arguments: Sequence[str]
    given: Mapping[str, Path] = field(default_factory=dict)
    """Files and folders that are in the folder at the start: name there to the one copied."""


def commands_of_model(model: Path, folder: Path) -> list[Command]:
    """Return the commands that write with a model; what they read is made in ``folder``."""
    texts = folder / "texts.jsonl"
    lines = (f'{{"text": "record {n % 1500} of a list of things"}}\n' for n in range(3000))
    texts.write_text("".join(lines))
    empty = folder / "empty.index"
    Index.create(empty, dim=ModelConfig.from_folder(model).dim).close()
    use = ("-m", str(model), "--threads", "1", "-i", str(texts))
    report = ("--report", "OUT/report.jsonl", "--work-folder", "OUT/work")
    return [
        Command("dedup", ("dedup", *use, "-o", "OUT/kept.jsonl", *report)),
        Command("embed", ("embed", *use, "-o", "OUT/vectors.npy")),
        Command("cluster", ("cluster", *use, "-o", "OUT/clusters.jsonl")),
        Command("pairs", ("pairs", *use, "--by", "cosine", "-o", "OUT/pairs.jsonl")),
        Command("index create", ("index", "create", "OUT/a.index", "-m", str(model))),
        Command("index add", ("index", "add", "OUT/a.index", *use), {"a.index": empty}),
        Command("ranges", ("ranges", "-m", "OUT/m", "-i", str(texts)), {"m": model}),
        Command(
            "project",
            ("project", str(model), "--dim", "16", "--fit", str(texts), "-o", "OUT/projected"),
        ),
    ]


def attack_command(
    command: Command, folder: Path, count: int, chance: random.Random, seconds: float = 600
) -> list[Outcome]:
    """Run a command twice at random distances; kill it at random times and run it again.

    Args:
        command: The command.
        folder: Where to work.
        count: How often each.
        chance: Of the distances.
        seconds: How long all of it may take, if nothing hangs.
    """
    output, said = folder / "out", [folder / "said0", folder / "said1"]
    arguments = [word.replace("OUT", str(output)) for word in command.arguments]
    started = time.monotonic()
    end = started + seconds
    _empty(output, command.given)
    status = _finish(_start(arguments, said[0]), seconds / 2)
    alone = time.monotonic() - started
    together = Outcome(f"two of {command.name} at once", note=f"one run takes {alone:.1f} s")
    killed = Outcome(f"{command.name}: kill -9, run again")
    if status == _NO_TIME:
        together.note = f"not tried: one run takes more than {seconds / 2:.0f} s"
        return [together]
    if status:
        together.fell.append(f"one run alone: {said[0].read_text()[-200:]}")
        return [together]
    expected = _content(output)
    for outcome, until in ((together, (started + end) / 2), (killed, end)):
        while outcome.tried < count and time.monotonic() + 2 * alone < until:
            _empty(output, command.given)
            outcome.tried += 1
            first = _start(arguments, said[0])
            time.sleep(chance.random() * alone)
            if outcome is killed:
                first.kill()
                first.join()
            second = _start(arguments, said[1])
            statuses = [_finish(run, end - time.monotonic()) for run in (first, second)]
            if _NO_TIME in statuses:
                outcome.tried -= 1
                break
            outcome.refused += statuses.count(1)
            found = _content(output)
            # A run that is killed once its output is there has done it.
            _judge(outcome, statuses, said, done=outcome is killed and found == expected)
            if found != expected:  # what is left behind counts too
                other = sorted(dict(found.items() ^ expected.items()))
                outcome.fell.append(f"{statuses}: another result than of one run: {other}")
    _empty(output, {})
    return [together, killed]


def _judge(outcome: Outcome, statuses: Sequence[int], said: Sequence[Path], *, done: bool) -> None:
    """Look at exit statuses, and at what a run that was refused says."""
    if 0 not in statuses and not done:
        outcome.fell.append(f"{statuses}: no run has done it")
    for status, file in zip(statuses, said, strict=True):
        told = file.read_text(encoding="utf-8", errors="replace")
        last = (told.splitlines() or [""])[-1]
        if status not in (0, 1, -9) or "Traceback" in told:
            outcome.fell.append(f"{status}: {told[-300:]}")
        elif status == 1 and not last.startswith("edge-embed: "):
            outcome.fell.append(f"refused without a word: {told[-300:]}")


def _empty(folder: Path, given: Mapping[str, Path]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, source in given.items():
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, folder / name)


_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(PRELOADED)


def _start(arguments: Sequence[str], said: Path) -> multiprocessing.process.BaseProcess:
    process = _context.Process(target=_run, args=(list(arguments), str(said)))
    process.start()
    return process


def _finish(process: multiprocessing.process.BaseProcess, seconds: float = _WAIT) -> int:
    """Return the exit status; after so long the process is killed, and it is ``_NO_TIME``."""
    process.join(max(0.0, seconds))
    if process.exitcode is None:
        process.kill()
        process.join()
        return _NO_TIME
    return process.exitcode


def _run(arguments: list[str], said: str) -> None:
    """Be the program, in a process of its own."""
    from edge_embed.cli import run

    for descriptor, path in ((1, os.devnull), (2, said)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.argv = ["edge-embed", *arguments]
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    run(arguments)


def _content(folder: Path) -> dict[str, str]:
    """Return a hash of the content of every file below a folder, hidden ones too."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(_bytes(file)).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name not in _VARIES
    }


def _bytes(file: Path) -> bytes:
    if file.suffix != ".index":
        return file.read_bytes()
    with Index(file) as index:  # whose entries may lie in another order
        hits = index.search(np.ones((1, index.facts.dim)), k=max(1, len(index)), exact=True)[0]
    return "\n".join(sorted(f"{hit.id} {hit.text} {hit.score:.4f}" for hit in hits)).encode()
