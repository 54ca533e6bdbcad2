"""The files of docs/deploy, as their own tools read them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "docs/deploy"


@pytest.mark.parametrize("name", ["Containerfile", "Containerfile.conversion"])
def test_the_container_files(name: str) -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("needs hadolint (the group 'dev')")
    command = [hadolint, str(DEPLOY / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("needs systemd-analyze")
    for unit in ("edge-embed.service", "edge-embed.socket"):
        text = (DEPLOY / unit).read_text(encoding="utf-8")
        # What it starts is not installed there.
        (tmp_path / unit).write_text(text.replace("/opt/edge-embed/bin/edge-embed", "/bin/true"))
    command = [analyze, "verify", str(tmp_path / "edge-embed.service")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_runs_nothing_that_a_small_system_lacks() -> None:
    text = (DEPLOY / "edge-embed.service").read_text(encoding="utf-8")
    programs = {
        value.split()[0]
        for name, _, value in (line.partition("=") for line in text.splitlines())
        if name.startswith("Exec")
    }
    # /bin/kill, which was here once, is in the package procps.
    assert programs == {"/opt/edge-embed/bin/edge-embed", "/bin/sh"}
