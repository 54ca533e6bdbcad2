"""Commands without a home or streams, or with full ones: they work, or say one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_embed.runtime.compile_cache import default_cache_dir

COMMAND = f"{sys.executable} -m edge_embed"


def shell(command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def test_without_standard_error(tiny_model: Path, tmp_path: Path) -> None:
    texts, out = tmp_path / "a.txt", tmp_path / "b.txt"
    texts.write_text("a parcel\nopening hours\n")
    done = shell(f"{COMMAND} dedup -m {tiny_model} --no-cache -i {texts} -o {out} 2>&-")
    assert done.returncode == 0
    assert out.read_text().startswith("a parcel\n")


@pytest.mark.parametrize("redirection", ["2> /dev/full", "2> >(true)"])
def test_standard_error_that_takes_nothing(
    tiny_model: Path, tmp_path: Path, redirection: str
) -> None:
    texts, out = tmp_path / "a.txt", tmp_path / "b.txt"
    texts.write_text("a parcel\nopening hours\n")
    done = shell(f"{COMMAND} dedup -m {tiny_model} -i {texts} -o {out} {redirection}")
    assert done.returncode == 0
    assert out.read_text().startswith("a parcel\n")
    assert shell(f"{COMMAND} info -m {tmp_path} {redirection}").returncode == 1


def test_a_pipe_as_output(tiny_model: Path) -> None:
    command = f"{COMMAND} embed -m {tiny_model} --no-cache hello"
    done = shell(f"cd {tiny_model.parent}; {command} -o /dev/stdout | cat")
    assert "cannot tell the format of /dev/stdout" in done.stderr


def test_a_current_folder_that_was_removed(tiny_model: Path, tmp_path: Path) -> None:
    command = f"{COMMAND} embed -m {tiny_model} --no-cache hello -o a.npy"
    done = shell(f"mkdir {tmp_path}/gone; cd {tmp_path}/gone; rmdir ../gone; {command}")
    assert done.returncode == 1
    assert done.stderr == "edge-embed: the current folder was removed: change to another one\n"


@pytest.mark.parametrize("redirection", [">&-", "> /dev/full"])
def test_standard_output_that_takes_nothing(tiny_model: Path, redirection: str) -> None:
    done = shell(f"{COMMAND} info -m {tiny_model} --json {redirection}")
    assert done.returncode == 1
    assert done.stderr.startswith("edge-embed: cannot write to standard output: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "utf-8"])
def test_standard_output_of_another_encoding(tiny_model: Path, encoding: str) -> None:
    command = (
        f"{COMMAND} similarity -m {tiny_model} --no-cache 'a € b' c | iconv -f latin1 -t utf-8"
    )
    done = shell(f"set -o pipefail; {command}", PYTHONIOENCODING=encoding)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    if encoding == "iso-8859-1":  # which lacks the sign
        assert r"a \u20ac b" in done.stdout


def test_no_home_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert default_cache_dir() is None
