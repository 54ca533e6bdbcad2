"""Texts a second in bulk by number of threads, and by processes that share the processors.

    python -m benchmarks.speed.scaling -m MODEL -i TEXTS [--column NAME] [--rounds 5] [--json FILE]

"1x2" is one process of two threads, "2x1" two processes of one thread, each held to processors of
its own and given its share of the texts. All ways of using 1, 2, 4 ... up to all processors take
turns in each round; a process loads and warms up before. Memory is the sum over the processes.
"""

import json
import multiprocessing
import os
import random
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.report import command_line, save, spread, text_options
from edge_embed import Embedder
from edge_embed.hardware.machine import memory_mb


class Team:
    """Processes that embed side by side."""

    def __init__(self, model: str, processes: int, threads: int, texts: Sequence[str]) -> None:
        self.name = f"{processes}x{threads}"
        self.shares = [list(texts[start::processes]) for start in range(processes)]
        processors = sorted(os.sched_getaffinity(0))
        spawn = multiprocessing.get_context("spawn")
        self._ends, self._processes = [], []
        for number, share in enumerate(self.shares):
            ours, theirs = spawn.Pipe()
            held = processors[number * threads : (number + 1) * threads]
            process = spawn.Process(target=_embed, args=(theirs, model, held, share), daemon=True)
            process.start()
            theirs.close()
            self._processes.append(process)
            self._ends.append(ours)
        self._answers()

    def embed(self) -> float:
        """Return the seconds until the last process is done."""
        started = time.perf_counter()
        for end in self._ends:
            end.send(True)
        self.memory = sum(self._answers())
        return time.perf_counter() - started

    def close(self) -> None:
        """End the processes."""
        for end in self._ends:
            end.send(False)
        for process in self._processes:
            process.join()

    def _answers(self) -> list[float]:
        try:
            return [end.recv() for end in self._ends]
        except EOFError:
            raise SystemExit(f"a process of {self.name} ended: see above") from None


def _embed(end: Connection, model: str, processors: Sequence[int], texts: list[str]) -> None:
    os.sched_setaffinity(0, processors)
    embedder = Embedder(model, threads=len(processors), hint="throughput")
    embedder.encode(texts[:500], truncation="ignore")
    end.send(0.0)
    while end.recv():
        embedder.encode(texts, truncation="ignore")
        end.send(memory_mb().get("resident", 0.0))


def ways(processors: int) -> list[tuple[int, int]]:
    """Return (processes, threads) for 1, 2, 4 ... processors and for all."""
    counts = sorted({*(2**power for power in range(processors.bit_length())), processors})
    usable = [count for count in counts if count <= processors]
    return [
        (count // threads, threads)
        for count in usable
        for threads in usable
        if count % threads == 0
    ]


def main() -> None:
    options, texts = text_options(__doc__, texts=2000, rounds=5)
    random.Random(0).shuffle(texts)
    teams = [
        Team(options.model, processes, threads, texts)
        for processes, threads in ways(len(os.sched_getaffinity(0)))
    ]
    speeds: dict[str, list[float]] = {team.name: [] for team in teams}
    for number in range(options.rounds):
        for team in teams if number % 2 == 0 else teams[::-1]:
            speeds[team.name].append(len(texts) / team.embed())
    for team in teams:
        team.close()
    alone = speeds["1x1"]
    results: dict[str, Any] = {
        team.name: {
            "texts_per_second": spread(speeds[team.name]),
            "against_1x1": spread(
                [own / one for own, one in zip(speeds[team.name], alone, strict=True)]
            ),
            "resident_mib": round(team.memory, 1),
        }
        for team in teams
    }
    document = {"model": Path(options.model).name, "texts": len(texts), "results": results}
    print(json.dumps(document, indent=2))
    if options.json:
        save(options.json, document, command=command_line())


if __name__ == "__main__":
    main()
