"""No room, or no place, for temporary files: one line that names the folder and TMPDIR."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_embed.errors import OutputError
from edge_embed.files import vector_writers
from edge_embed.files.atomic import atomic_file
from edge_embed.files.vector_writers import open_writer
from edge_embed.tasks.inverted_file import InvertedFile
from edge_embed.tasks.vectors import Rows

MESSAGE = r"folder for temporary files \({}\): {}; set TMPDIR to another one$"


@pytest.fixture
def full(small_disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder for temporary files, on a disk that is full."""
    disk = small_disk("64k")
    (disk / "rest").write_bytes(bytes(40 * 1024))
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    return MESSAGE.format(disk, "it is full")


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """No folder for temporary files at all."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "none")])
    return MESSAGE.format(tmp_path / "none", "No usable temporary directory found.*")


@pytest.fixture(params=["full", "missing"])
def message(request: pytest.FixtureRequest) -> str:
    """What each error says."""
    return str(request.getfixturevalue(request.param))


def test_a_large_answer_on_standard_output(message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_writers, "_SPOOL", 1000)
    vectors = np.ones((100, 64), np.float32)

    def write() -> None:
        with open_writer(None) as writer:
            for _ in range(20):
                writer.write(["a"] * 100, vectors)

    with pytest.raises(OutputError, match=message):
        write()


def test_an_output_that_is_filled_in_place(message: str, tmp_path: Path) -> None:
    def write() -> None:
        with atomic_file(Path("/dev/null")) as temporary, temporary.open("wb") as file:
            file.write(bytes(100_000))

    with pytest.raises(OutputError, match=message):
        write()


def test_the_lists_of_a_large_search(message: str) -> None:
    rows = Rows(np.random.default_rng(0).normal(size=(3000, 32)).astype(np.float32))
    with pytest.raises(OutputError, match=message):
        InvertedFile.fit(rows, np.arange(3000))


def test_without_shared_memory_and_temporary_folder(tiny_model: Path, tmp_path: Path) -> None:
    """Neither is needed where outputs are ordinary files."""
    shell = ["unshare", "-m", "sh", "-c"]
    if subprocess.run([*shell, "umount /dev/shm"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to unmount /dev/shm")
    (tmp_path / "texts.txt").write_text("one\ntwo\n")
    arguments = ["embed", "-m", str(tiny_model), "-i", str(tmp_path / "texts.txt")]
    command = [sys.executable, "-m", "edge_embed", *arguments, "-o", str(tmp_path / "out.npy")]
    done = subprocess.run(
        [*shell, 'umount /dev/shm && exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TMPDIR": str(tmp_path / "none")},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert np.load(tmp_path / "out.npy").shape == (2, 32)
