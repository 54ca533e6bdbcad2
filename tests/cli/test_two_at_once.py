"""Two runs of any command that writes: the second is refused and names the first."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner

from edge_embed.cli import _COMMANDS, main
from edge_embed.errors import OutputError
from edge_embed.integrations.search_engines.export import _owned, export
from edge_embed.tasks import Index
from edge_embed.tasks.index.reembed import reembed

OWNER = """
import sys
from contextlib import ExitStack
from pathlib import Path
from edge_embed.files.lock import owned_file, owned_folder
from edge_embed.integrations.search_engines.export import _owned
with ExitStack() as stack:
    for path in ("out.jsonl", "out.npy", "out", "out.json", "out.png", "out.index", ".a.reembed"):
        stack.enter_context(owned_file(Path(path)))
    stack.enter_context(owned_folder(Path("work")))
    stack.enter_context(_owned(Path("a.index"), "qdrant:there#notes"))
    print("owned", flush=True)
    sys.stdin.read()
"""

# Every command, by what it writes. IN is an input that is there; others are owned.
RUNS = {
    "embed": ["embed", "-i", "IN", "-o", "out.npy"],
    "dedup": ["dedup", "-i", "IN", "-o", "out.jsonl"],
    "dedup, report": ["dedup", "-i", "IN", "-o", "new.jsonl", "--report", "out.jsonl"],
    "dedup, work": ["dedup", "-i", "IN", "-o", "new.jsonl", "--work-folder", "work"],
    "pairs": ["pairs", "-i", "IN", "-o", "out.jsonl"],
    "cluster": ["cluster", "-i", "IN", "-o", "out.jsonl"],
    "cluster, report": ["cluster", "-i", "IN", "-o", "new.jsonl", "--report", "out.json"],
    "cluster, plot": ["cluster", "-i", "IN", "-o", "new.jsonl", "--plot", "out.png"],
    "cluster, work": ["cluster", "-i", "IN", "-o", "new.jsonl", "--work-folder", "work"],
    "project": ["project", "edge-embed-tiny", "--dim", "8", "--fit", "IN", "-o", "out"],
    "convert": ["convert", "SOURCE", "-o", "out"],
    "distill": ["distill", "--teacher", "T", "--corpus", "IN", "-o", "out"],
    "distill, work": [
        *("distill", "--teacher", "T", "--corpus", "IN", "-o", "new", "--work-dir", "work"),
    ],
    "distill --init": [
        *("distill", "--teacher", "T", "--init", "S", "--corpus", "IN"),
        *("-o", "new", "--work-dir", "work"),
    ],
    "train-pairs": ["train-pairs", "--init", "S", "--pairs", "IN", "-o", "out"],
    "train-pairs, work": [
        *("train-pairs", "--init", "S", "--pairs", "IN", "-o", "new", "--work-dir", "work"),
    ],
    "index create": ["index", "create", "out.index"],
    "eval": ["eval", "sts", "IN", "--json", "out.json"],
    "eval, plot": ["eval", "sts", "IN", "--plot", "out.png"],
    "bench": ["bench", "latency", "--json", "out.json"],
    "bench, plot": ["bench", "latency", "--plot", "out.png"],
}
# Nothing is written, or into an index, which has locks of its own (index add, delete), or a model's
# folder, one file at the end (ranges, verify).
OTHERS = {"similarity", "info", "verify", "search", "mcp", "serve", "ranges", "demo", "doctor"}


class Owned(NamedTuple):
    """A folder in which another process owns every output."""

    folder: Path
    process: int


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owned]:
    folder = tmp_path_factory.mktemp("owned")
    (folder / "in.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    with Index.create(folder / "a.index", dim=2) as index:
        index.add(["a"], np.ones((1, 2)))
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "owned\n"
        yield Owned(folder, process.pid)
        process.communicate()


def test_every_command_is_tried() -> None:
    assert {arguments[0] for arguments in RUNS.values()} | OTHERS == set(_COMMANDS)


@pytest.mark.parametrize("run", list(RUNS))
def test_the_second_run_names_the_first(
    run: str, owned: Owned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(owned.folder)
    before = {path: path.stat().st_mtime_ns for path in owned.folder.rglob("*")}
    arguments = ["in.jsonl" if part == "IN" else part for part in RUNS[run]]
    result = CliRunner().invoke(main, arguments)
    assert isinstance(result.exception, OutputError), result.exception
    assert f"is being written by another process (process {owned.process}, python)" in str(
        result.exception
    )
    # Refused before anything was read or written.
    assert {path: path.stat().st_mtime_ns for path in owned.folder.rglob("*")} == before


def test_an_export_to_the_same_collection_alone(
    owned: Owned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(owned.folder)
    with pytest.raises(OutputError, match=f"^qdrant:there#notes is being.*{owned.process}"):
        export("a.index", "qdrant:there#notes")
    with _owned(Path("a.index"), "qdrant:there#others"):
        pass


def test_a_second_move_to_another_model(owned: Owned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(owned.folder)
    path = Path("a")
    Index.create(path, dim=2).close()
    with Index(path) as index:
        facts = index.facts
    with pytest.raises(OutputError, match=f"process {owned.process}"):
        reembed(path, facts, lambda texts: np.ones((len(texts), 2)))


def test_two_programs(tmp_path: Path) -> None:
    """The first waits for its input; the second is refused; the result is the first one's."""
    output = tmp_path / "out.npy"
    command = [sys.executable, "-m", "edge_embed", "embed", "-m", "edge-embed-tiny"]
    command += ["--threads", "1", "-i", "-", "-o", str(output)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as first:
        assert first.stdin is not None
        while not (tmp_path / ".out.npy.lock").exists():
            assert first.poll() is None
            time.sleep(0.01)
        second = subprocess.run(command, input="three\n", capture_output=True, text=True)
        assert second.returncode == 1
        assert f"(process {first.pid}, edge-embed embed)" in second.stderr
        first.communicate("one\ntwo\n")
    assert first.returncode == 0
    assert np.load(output).shape == (2, 384)
    assert [path.name for path in tmp_path.iterdir()] == ["out.npy"]
