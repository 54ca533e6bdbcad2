"""Outputs that are no ordinary files: written through or filled, and what they are stays."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge_embed.errors import OutputError
from edge_embed.files.atomic import atomic_file, atomic_folder


def write(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text)


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "there" / "a.txt", tmp_path / "link.txt"
    target.parent.mkdir()
    target.write_text("before")
    link.symlink_to(target)
    write(link, "after")
    assert link.is_symlink()
    assert target.read_text() == "after"
    target.unlink()
    write(link, "again")  # a link to what is not there yet
    assert (link.is_symlink(), target.read_text()) == (True, "again")
    assert {file.name for file in tmp_path.rglob("*")} == {"there", "a.txt", "link.txt"}


def test_a_pipe_is_filled(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write(pipe, "through")
    reader.join(20)
    assert read == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_stays() -> None:
    write(Path("/dev/null"), "gone")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(OutputError, match="the disk is full"):
        write(Path("/dev/full"), "too much")


def test_standard_output_by_its_name(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\nfrom edge_embed.files.atomic import atomic_file\n"
        "with atomic_file(Path('/dev/stdout')) as file: file.write_text('there')\n"
    )
    out = tmp_path / "out.txt"
    with out.open("w") as file:
        subprocess.run([sys.executable, "-c", program], stdout=file, check=True)
    assert out.read_text() == "there"


def test_a_failure_leaves_what_cannot_be_replaced(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "a"
    target.write_text("before")
    link.symlink_to(target)

    def fail() -> None:
        with atomic_file(link) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert target.read_text() == "before"


MOUNTED = """
import sys
from pathlib import Path
from edge_embed.files.atomic import atomic_file, atomic_folder
folder, file = Path(sys.argv[1]), Path(sys.argv[2])
for text in ("one", "two"):
    with atomic_folder(folder, force=text == "two") as made:
        (made / "sub").mkdir()
        (made / "sub" / text).write_text(text)
    assert [p.name for p in folder.rglob("*")] == ["sub", text], list(folder.rglob("*"))
    with atomic_file(file) as made:
        made.write_text(text)
    assert file.read_text() == text
"""


def test_mounted_folders_and_files(tmp_path: Path) -> None:
    folder, file = tmp_path / "models", tmp_path / "a.txt"
    folder.mkdir()
    file.write_text("")
    mount = f"mount -t tmpfs tmpfs {folder} && mount --bind {file} {file}"
    shell = ["unshare", "-m", "sh", "-c"]
    if subprocess.run([*shell, mount], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    command = [*shell, f'{mount} && exec "$@"', "sh", sys.executable, "-c", MOUNTED]
    done = subprocess.run(
        [*command, str(folder), str(file)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert file.read_text() == "two"
    with atomic_folder(folder) as made:  # no mount here, and it is replaced as ever
        (made / "a").write_text("")
    assert [path.name for path in folder.iterdir()] == ["a"]
