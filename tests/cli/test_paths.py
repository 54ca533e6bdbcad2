"""Every command compares its paths, whatever they are called, before anything is read or lost."""

import os
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from edge_embed.cli import _COMMANDS, main
from edge_embed.cli.paths import claim_paths
from edge_embed.errors import InputError

# How the value of an option that is a path is called in help.
_METAVARS = ("FILE", "DIR", "REPORT")
_WRITTEN = ("--output", "--report", "--plot", "--json", "--work-folder", "--work-dir")
# What else each command needs; OTHER is an input, OUT an output.
_NEEDED: dict[str, dict[str, str]] = {
    "embed": {"--input": "OTHER", "--output": "OUT"},
    "dedup": {"--input": "OTHER", "--output": "OUT", "--threshold": "0.9"},
    "pairs": {"--input": "OTHER", "--output": "OUT"},
    "cluster": {"--input": "OTHER", "--output": "OUT"},
    "project": {"--dim": "2", "--fit": "OTHER", "--output": "OUT"},
    "convert": {"--output": "OUT", "--embedding-rank": "8"},
    "distill": {"--teacher": "SOURCE", "--corpus": "OTHER", "--output": "OUT"},
    "train-pairs": {"--init": "SOURCE", "--pairs": "OTHER", "--output": "OUT"},
    "bench": {},
}
_ARGUMENTS = {"project": ["MODEL"], "convert": ["SOURCE"]}
_ONE_OR_THE_OTHER = {frozenset({"--assign", "--report"}), frozenset({"--assign", "--plot"})}
TEXTS = '{"text": "one"}\n{"text": "two"}\n'


def path_options(name: str) -> list[str]:
    """The options of a command that take a path."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return [
        next(option for option in parameter.opts if option.startswith("--"))
        for parameter in command.params
        if isinstance(parameter, click.Option)
        and str(parameter.metavar or "").startswith(_METAVARS)
    ]


def pairs() -> Iterator[tuple[str, str, str]]:
    for name in _NEEDED:
        for one, other in combinations(path_options(name), 2):
            written = one in _WRITTEN or other in _WRITTEN
            if written and {one, other} not in _ONE_OR_THE_OTHER:
                yield name, one, other


def test_every_command_that_writes_is_tried() -> None:
    others = [name for name in _COMMANDS if name not in _NEEDED]
    several = {name: path_options(name) for name in others}
    assert not {
        name: options
        for name, options in several.items()
        if len(options) > 1 and set(options) & set(_WRITTEN)
    }


def ending(command: str, option: str) -> str:
    if option == "--plot":
        return ".png"
    return (
        ".json" if (command, option) in (("cluster", "--report"), ("bench", "--json")) else ".jsonl"
    )


@pytest.mark.parametrize(("command", "one", "other"), list(pairs()))
def test_two_options_with_one_path(
    command: str, one: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.jsonl").write_text(TEXTS)
    first, second = (f"{name}{ending(command, name)}" for name in (one, other))
    Path(first).write_text(TEXTS)
    os.link(first, second)  # another name of the same file
    given = {**_NEEDED[command], one: first, other: second}
    names = {"OTHER": "other.jsonl", "OUT": "out.jsonl"}
    arguments = [part for name, value in given.items() for part in (name, names.get(value, value))]
    result = CliRunner().invoke(main, [command, *_ARGUMENTS.get(command, []), *arguments])
    assert isinstance(result.exception, InputError), result.output
    assert "are the same file" in str(result.exception)
    assert Path(first).read_text() == Path("other.jsonl").read_text() == TEXTS
    assert not Path("out.jsonl").exists()


def claim(**paths: Any) -> None:
    with click.Context(click.Command("test")):
        claim_paths(**paths)


def test_an_output_that_does_not_exist_yet_is_told_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(InputError, match="-o and --report are the same file"):
        claim(files={"-o": tmp_path / "new", "--report": tmp_path / "link" / "." / "new"})


def test_nothing_lies_in_a_folder_that_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "out" / "texts.txt"
    with pytest.raises(InputError, match="lies in"):
        claim(reads={"--calibration": file}, folders={"-o": tmp_path / "out"})
    with pytest.raises(InputError, match="lies in"):
        claim(files={"-o": file}, work={"--work-folder": tmp_path / "out"})


def test_a_device_may_be_given_twice_and_standard_input_is_no_path(tmp_path: Path) -> None:
    claim(reads={"-i": "/dev/null"}, files={"-o": "/dev/null", "--report": None})
    claim(reads={"-i": "-"}, files={"-o": "-", "--json": "-"})


def test_a_work_folder_with_other_things_is_refused_and_left_alone(
    tmp_path: Path, tiny_model: Path
) -> None:
    source, work = tmp_path / "texts.txt", tmp_path / "work"
    source.write_text("one\ntwo\n")
    work.mkdir()
    for name in ("vectors.f16", "manifest.json", "thesis.doc"):
        (work / name).write_text("mine")
    arguments = ["dedup", "-i", str(source), "-o", str(tmp_path / "out.txt"), "-m", str(tiny_model)]
    for kept in (["manifest.json", "thesis.doc", "vectors.f16"], ["thesis.doc", "vectors.f16"]):
        result = CliRunner().invoke(main, [*arguments, "--work-folder", str(work)])
        assert isinstance(result.exception, InputError)
        assert sorted(file.name for file in work.iterdir()) == kept
        assert all(file.read_text() == "mine" for file in work.iterdir())
        (work / "manifest.json").unlink(missing_ok=True)
    (work / "vectors.f16").unlink()
    (work / "thesis.doc").unlink()
    assert CliRunner().invoke(main, [*arguments, "--work-folder", str(work)]).exit_code == 0
    assert not work.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(
    "arguments",
    [
        ["dedup", "-i", "PIPE", "-o", "OUT"],
        ["dedup", "-i", "FILE", "--against", "PIPE", "-o", "OUT"],
        ["cluster", "-i", "PIPE", "-o", "OUT"],
    ],
)
def test_a_pipe_is_not_waited_for_twice(tmp_path: Path, arguments: list[str]) -> None:
    paths = {"PIPE": tmp_path / "p.csv", "FILE": tmp_path / "t.csv", "OUT": tmp_path / "o.csv"}
    os.mkfifo(paths["PIPE"])
    paths["FILE"].write_text("text\na\n")
    given = [str(paths.get(argument, argument)) for argument in arguments]
    result = CliRunner().invoke(main, given)
    assert (result.exit_code, "read more than once" in result.stderr) == (2, True)
