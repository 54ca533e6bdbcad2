"""Outputs appear whole or not at all, also when the process is killed or the disk is full."""

import resource
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_embed.errors import OutputError
from edge_embed.files.atomic import atomic_file, atomic_folder
from edge_embed.files.write_errors import output_error


def test_a_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    path.chmod(0o640)
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with atomic_file(tmp_path / "out") as temporary:
        temporary.write_text("")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_folder_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with atomic_folder(path) as temporary:
        (temporary / "a").write_text("new")
        assert not path.exists()
    assert (path / "a").read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_folder_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("")
    with pytest.raises(OutputError, match="already exists; give --force"), atomic_folder(path):
        pass
    with atomic_folder(path, force=True) as temporary:
        (temporary / "new").write_text("")
    assert [file.name for file in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o2770])
def test_a_replaced_folder_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path, new = tmp_path / "model", tmp_path / "new"
    path.mkdir()
    path.chmod(mode)
    new.mkdir()
    usual = new.stat().st_mode
    with atomic_folder(path, force=True) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o700, "nobody else looks in meanwhile"
    assert stat.S_IMODE(path.stat().st_mode) == mode
    with atomic_folder(tmp_path / "made"):
        pass
    assert (tmp_path / "made").stat().st_mode == usual


def fail(path: Path, error: BaseException) -> None:
    with atomic_folder(path, force=True) as temporary:
        (temporary / "half").write_text("")
        raise error


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(1)])
def test_a_failure_leaves_the_old_folder(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("")
    with pytest.raises(type(error)):
        fail(path, error)
    assert [file.name for file in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_targets_of_the_wrong_kind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="it is a file"), atomic_folder(tmp_path / "file"):
        pass
    with pytest.raises(OutputError, match="it is a folder"), atomic_file(tmp_path):
        pass


def run_limited(code: str, path: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, str(path)]
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, check=False, **options
    )
    return done


WRITE = """
import sys
from pathlib import Path
from edge_embed.files.atomic import atomic_file
from edge_embed.errors import OutputError
try:
    with atomic_file(Path(sys.argv[1])) as temporary, temporary.open("wb") as file:
        for _ in range(200):
            file.write(bytes(10_000))
except OutputError as error:
    print(error)
"""


def test_a_file_size_limit(tmp_path: Path) -> None:
    limit = (100_000, 100_000)
    done = run_limited(
        WRITE,
        tmp_path / "out",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )
    assert "cannot write" in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(small_disk: Callable[[str], Path]) -> None:
    disk = small_disk("256k")
    done = run_limited(WRITE, disk / "out")
    assert "the disk is full; free some space" in done.stdout
    assert list(disk.iterdir()) == []


def test_no_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    # Root may write anywhere, so the program gives up its rights once everything is imported.
    give_up = "import os\nif os.geteuid() == 0: os.setgid(65534), os.setuid(65534)\ntry:"
    done = run_limited(WRITE.replace("try:", give_up, 1), tmp_path / "out")
    tmp_path.chmod(0o700)
    assert done.stderr == ""
    assert "no permission" in done.stdout or "Permission denied" in done.stdout
    assert list(tmp_path.iterdir()) == []


KILLED = """
import sys, time
from pathlib import Path
from edge_embed.files.atomic import atomic_file, atomic_folder
from edge_embed.files.write_errors import output_error
path = Path(sys.argv[1])
with (atomic_folder(path, force=True) if path.is_dir() else atomic_file(path)) as temporary:
    (temporary / "half" if path.is_dir() else temporary).write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def killed_writing(path: Path, *, meanwhile: Callable[[], None] = lambda: None) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    meanwhile()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_kill_9_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")

    def write_too() -> None:
        before = sorted(tmp_path.iterdir())
        refused = pytest.raises(OutputError, match=r"written by another process \(process \d+, ")
        with refused, atomic_file(path):
            pass
        assert sorted(tmp_path.iterdir()) == before, "what another process writes is not touched"

    killed_writing(path, meanwhile=write_too)
    assert path.read_text() == "old"
    with atomic_file(path) as temporary:
        temporary.write_text("new")
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_kill_9_leaves_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").touch()
    killed_writing(path)
    assert [file.name for file in path.iterdir()] == ["old"]
    # Killed a little later: the old folder was moved away, the new one not yet there.
    (part,) = tmp_path.glob(".out.*.part")
    path.rename(part.with_suffix(".old"))
    with pytest.raises(OutputError, match="already exists"), atomic_folder(path):
        pass
    assert [file.name for file in path.iterdir()] == ["old"]
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_a_copy_of_a_folder_that_fails_says_why(tmp_path: Path) -> None:
    why = [("a", "b", "[Errno 28] No space left on device: 'a' -> 'b'"), ("c", "d", "other")]
    assert "the disk is full; free" in str(output_error(tmp_path, shutil.Error(why)))
