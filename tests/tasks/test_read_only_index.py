"""An index where this user may only read: searched and shown, not written, changes noticed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_embed.tasks import Index

AS_OTHER = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
PROGRAM = """
import sys, numpy as np
from edge_embed.errors import OutputError
from edge_embed.tasks import Index
with Index(sys.argv[1]) as index:
    print(index.search(np.eye(4)[:1], k=1)[0][0].text, len(index), index.info().entries)
    print(index.search(np.eye(4)[:1], k=1, queries=["red"], where={"n": 0})[0][0].text)
    try:
        index.add(["more"], np.eye(4)[:1])
    except OutputError as error:
        print("refused:", error)
"""


@pytest.fixture
def index(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    folder.mkdir()
    with Index.create(folder / "a.index", dim=4) as made:
        made.add(["red", "blue"], np.eye(4)[:2], metadata=[{"n": 0}, {"n": 1}])
    return folder / "a.index"


def read(command: list[str], index: Path, *, fails: bool = False) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [*command, sys.executable, "-c", PROGRAM, str(index)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert bool(done.stderr) == fails, done.stderr
    return done.stderr if fails else done.stdout


def whole(output: str) -> bool:
    lines = output.splitlines()
    return lines[:2] == ["red 2 2", "red"] and lines[2].startswith("refused: cannot write")


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs another user")
def test_of_another_user(index: Path) -> None:
    other = [*AS_OTHER, "--bounding-set=-all,+dac_read_search"]
    other += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    assert whole(read(other, index))
    with Index(index) as writer:  # whose log and shared memory are there
        writer.add(["green"], np.eye(4)[2:3])
        assert "is being changed by another user" in read(other, index, fails=True)
    assert read(other, index).startswith("red 3 3\nred\nrefused: cannot write")


def test_on_a_read_only_mount(index: Path) -> None:
    mount = f"mount --bind {index.parent} {index.parent} && mount -o remount,ro,bind {index.parent}"
    tried = subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("needs the right to mount")
    assert whole(read(["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"], index))


def test_a_change_by_its_owner_is_noticed(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with Index(index) as reader:
        assert len(reader) == 2
        monkeypatch.undo()
        with Index(index) as writer:
            writer.add(["green"], np.eye(4)[2:3])
        monkeypatch.setattr(os, "access", lambda *_: False)
        assert len(reader) == 3
        assert reader.search(np.eye(4)[2:3], k=1)[0][0].text == "green"
