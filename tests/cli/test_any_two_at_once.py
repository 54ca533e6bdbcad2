"""Two of a command at any distance in time, and a kill: the result is that of one run alone."""

import multiprocessing
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.attack.commands import PRELOADED, Command, attack_command, commands_of_model

CONVERSION = ["torch", "transformers", "edge_embed_conversion.convert"]
multiprocessing.get_context("forkserver").set_forkserver_preload([*PRELOADED, *CONVERSION])

Make = Callable[[Path, Path, Path], Command]


def by_model(name: str) -> Make:
    """Return what finds one of the commands that need a model alone."""

    def make(model: Path, _: Path, folder: Path) -> Command:
        return next(each for each in commands_of_model(model, folder) if each.name == name)

    return make


def convert(_: Path, source: Path, folder: Path) -> Command:
    return Command("convert", ("convert", str(source), "-o", "OUT/m", "--precision", "fp32"))


RUNS: dict[str, Make] = {
    name: by_model(name)
    for name in ("dedup", "embed", "cluster", "index create", "index add", "ranges", "project")
}
RUNS |= {"convert": convert}


@pytest.mark.parametrize("name", list(RUNS))
def test_any_two_and_a_kill(
    name: str, tiny_model: Path, tiny_bert_source: Path, tmp_path: Path
) -> None:
    command = RUNS[name](tiny_model, tiny_bert_source, tmp_path)
    for outcome in attack_command(command, tmp_path, 2, random.Random(name)):
        assert outcome.tried == 2
        assert not outcome.fell, outcome
