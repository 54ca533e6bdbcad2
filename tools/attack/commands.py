"""Two of a command at once, and kills in the middle: the result is that of one run alone."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.attack.outcome import Outcome

__all__ = ["attack_commands"]

_WAIT = 300


def _start(arguments: Sequence[str], *, told: bool = False) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "edge_embed", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if told else subprocess.DEVNULL,
        text=True,
    )


def attack_commands(model: Path, folder: Path, count: int, chance: random.Random) -> list[Outcome]:
    """Run dedup twice at a random distance, and kill it at a random time and run it again."""
    source, output = folder / "texts.jsonl", folder / "kept.jsonl"
    lines = (f'{{"text": "record {n % 1500} of a list of things"}}\n' for n in range(6000))
    source.write_text("".join(lines))
    command = ["dedup", "-i", str(source), "-o", str(output), "-m", str(model), "--threads", "1"]
    started = time.monotonic()
    alone = _start(command, told=True)
    _, told = alone.communicate(timeout=_WAIT)
    seconds = time.monotonic() - started
    if alone.returncode:
        return [Outcome("two commands at once", fell=[f"the first run: {told[-200:]}"])]
    expected = output.read_bytes()
    together, killed = Outcome("two commands at once"), Outcome("kill -9 and run again")
    for outcome in (together, killed):
        outcome.started = time.monotonic()
        for _ in range(count):
            if not outcome.has_time():
                break
            output.unlink(missing_ok=True)
            outcome.tried += 1
            first = _start(command)
            time.sleep(chance.random() * seconds)
            if outcome is killed:
                first.send_signal(signal.SIGKILL)
                first.wait(_WAIT)
            second = _start(command)
            for run in (first, second):
                run.wait(_WAIT)
            refused = [run for run in (first, second) if run.returncode == 1]
            outcome.refused += len(refused)
            if not output.exists() or output.read_bytes() != expected:
                outcome.fell.append("another result than that of one run")
            left: list[str] = [
                file.name for file in folder.iterdir() if file.name.startswith("kept.jsonl.")
            ]
            if left or any(folder.glob(".kept*")):
                outcome.fell.append(f"left behind: {left}")
    together.note = f"one run takes {seconds:.1f} s"
    return [together, killed]
