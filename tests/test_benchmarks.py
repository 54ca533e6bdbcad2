"""The table of benchmarks: every script is in it, with arguments that it takes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.growth import costs, table
from benchmarks.peers.default_embedders import agreement
from benchmarks.run_all import BENCHMARKS, NEEDS, NOT_RUN, Benchmark, listed, run

ROOT = Path(__file__).parent.parent


def test_every_script_is_in_the_table() -> None:
    scripts = [file for file in (ROOT / "benchmarks").rglob("*.py") if file.stem != "__init__"]
    mains = {file.stem for file in scripts if "__main__" in file.read_text(encoding="utf-8")}
    run_ = {benchmark.command.split()[0].rpartition(".")[2] for benchmark in BENCHMARKS}
    assert mains <= run_ | NOT_RUN.keys()
    assert not run_ & NOT_RUN.keys()


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_the_arguments_are_the_scripts(benchmark: Benchmark) -> None:
    module, *arguments = benchmark.command.split()
    names = set(re.findall(r"\{(\w+)\}", benchmark.command))
    assert names <= NEEDS.keys() | {"out", "results"}
    if module == "edge_embed":
        return
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    if "text_options" in source:
        source += (ROOT / "benchmarks/report.py").read_text(encoding="utf-8")
    for argument in arguments:
        if argument.startswith("-"):
            assert f'"{argument}"' in source, f"{module} has no {argument}"


def test_what_is_missing_is_said_and_what_is_there_is_kept(tmp_path: Path) -> None:
    benchmark = Benchmark("one", "benchmarks.speed.start_up -m {model} --json {out}", 1)
    assert run(benchmark, {}, tmp_path) == "left out: give --model"
    (tmp_path / "one.json").write_text("{}")
    assert run(benchmark, {}, tmp_path) == "there already"
    later = Benchmark("two", "benchmarks.speed.start_up --json {out}", 1, after="three")
    assert run(later, {}, tmp_path) == "left out: three has to be run before"
    broken = Benchmark("three", "benchmarks.speed.start_up --no-such-option", 1)
    assert run(broken, {}, tmp_path) == f"failed: see {tmp_path / 'three.log'}"
    assert "--no-such-option" in (tmp_path / "three.log").read_text()


def test_default_embedders_measures_nothing_where_vectors_differ() -> None:
    fp32, int8 = "edge-embed gptcache fp32", "edge-embed gptcache int8"
    same, other = [[1.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [0.2, 2.0]]
    cosines = agreement({"gptcache": same, "pymilvus": same, fp32: same, int8: other})
    assert cosines == {"gptcache": 1.0, "pymilvus": 1.0, fp32: 1.0, int8: 0.99504}
    with pytest.raises(SystemExit, match=f"a vector of {fp32} has a cosine of 0.99504 to gptcache"):
        agreement({"gptcache": same, fp32: other})
    with pytest.raises(SystemExit, match="nan"):
        agreement({"gptcache": same, "pymilvus": [[1.0, 0.0], [0.0, 0.0]]})


def test_the_list_needs_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.run_all"], capture_output=True, text=True, cwd=ROOT,
        check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == list(listed())


def test_the_table_of_growth_is_that_of_the_results() -> None:
    page = (ROOT / "docs/growth.md").read_text(encoding="utf-8")
    assert "\n".join(table(costs())) in page
