"""One owner for each output: others are refused with its name, and nothing is left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_embed.errors import OutputError
from edge_embed.files.lock import owned_file, owned_folder

OWNER = """
import sys, time
from pathlib import Path
from typing import Any
from edge_embed.files.lock import owned_file, owned_folder
path = Path(sys.argv[2])
with (owned_file if sys.argv[1] == "file" else owned_folder)(path):
    print("owned", flush=True)
    time.sleep(60)
"""


@contextmanager
def owner(kind: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, kind, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "owned\n"
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def test_another_process_is_refused_with_the_owners_name(tmp_path: Path) -> None:
    path, folder = tmp_path / "out", tmp_path / "work"
    with owner("file", path) as process:
        link = tmp_path / "link"
        link.symlink_to(path)
        for same in (path, tmp_path / "." / "out", link):
            with pytest.raises(OutputError, match=f"process {process.pid}, python"):
                owned_file(same).__enter__()
    with (
        owner("folder", folder) as process,
        pytest.raises(OutputError, match=f"process {process.pid}"),
    ):
        owned_folder(folder).__enter__()
    # Killed: the next one owns them, and leaves nothing.
    with owned_file(path), owned_folder(folder):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["link"]


def test_a_process_owns_what_it_owns_as_often_as_it_likes(tmp_path: Path) -> None:
    with owned_file(tmp_path / "out"):
        with owned_file(tmp_path / "out"):
            assert len(list(tmp_path.iterdir())) == 1
        assert len(list(tmp_path.iterdir())) == 1, "held until the last block ends"
    assert list(tmp_path.iterdir()) == []


def test_a_device_or_a_pipe_has_no_owner(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with owned_file(pipe), owned_file(Path("/dev/null")):
        assert list(tmp_path.iterdir()) == [pipe]


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".out.lock").symlink_to(victim)
    with pytest.raises(OutputError, match="cannot write"):
        owned_file(tmp_path / "out").__enter__()
    assert victim.read_text() == "mine"


def test_a_folder_with_other_things_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with owned_folder(tmp_path):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]
    with pytest.raises(OutputError, match="it is a file; give a folder"):
        owned_folder(tmp_path / "mine").__enter__()


def test_many_at_once_take_turns_or_are_refused(tmp_path: Path) -> None:
    """A lock that is removed while another waits to open it never has two owners."""
    code = """
import os, sys
from pathlib import Path
from typing import Any
from edge_embed.errors import OutputError
from edge_embed.files.lock import owned_file
mark = Path(sys.argv[1]) / "mark"
for _ in range(300):
    try:
        with owned_file(Path(sys.argv[1]) / "out"):
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            mark.unlink()
    except OutputError:
        pass
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_its_owner_has_just_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "work"
    removed: list[Path] = []

    def open_later(*arguments: Any, **options: Any) -> int:
        if not removed:
            folder.rmdir()
            removed.append(folder)
        return there(*arguments, **options)

    there = os.open
    monkeypatch.setattr(os, "open", open_later)
    with owned_folder(folder):
        assert (folder / ".lock").is_file()
    assert removed
    assert not folder.exists()


def test_a_folder_that_goes_between_two_looks_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path] = []

    def mkdir(self: Path, **options: Any) -> None:
        tried.append(self)
        if len(tried) == 1:  # it was there, and is gone when it is looked at
            raise FileExistsError
        made(self, **options)

    made = Path.mkdir
    monkeypatch.setattr(Path, "mkdir", mkdir)
    with owned_folder(tmp_path / "work"):
        assert len(tried) == 2
    monkeypatch.undo()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="it is a file"), owned_folder(tmp_path / "link"):
        pass
