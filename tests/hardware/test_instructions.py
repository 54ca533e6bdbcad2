"""Instruction sets: where INT8 is exact, and which processor is too old."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from edge_embed.hardware import machine

OLD = "fpu sse sse2 ssse3 sse4_1"


@pytest.mark.parametrize(
    ("architecture", "flags", "exact"),
    [
        ("x86_64", "sse4_2 avx2 avx512f avx512_vnni", True),
        ("x86_64", "sse4_2 avx2 avx_vnni", True),
        ("x86_64", "sse4_2 avx2 avx512f", False),
        ("x86_64", "sse4_2", False),
        ("x86_64", "", True),  # a system that does not say
        ("aarch64", "", False),
    ],
)
def test_where_int8_is_exact(
    architecture: str, flags: str, exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: architecture)
    monkeypatch.setattr(machine, "_processor", lambda: {"flags": flags} if flags else {})
    assert machine.int8_is_exact() == exact


@pytest.mark.parametrize(
    ("architecture", "flags", "right"),
    [
        ("x86_64", "sse4_2 avx2", True),
        ("x86_64", "sse4_2 avx", False),
        ("x86_64", "", True),
        ("aarch64", "asimd", True),
    ],
)
def test_where_several_streams_are_right(
    architecture: str, flags: str, right: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: architecture)
    monkeypatch.setattr(machine, "_processor", lambda: {"flags": flags} if flags else {})
    assert machine.several_streams_are_right() == right


def run_on(flags: str, program: str) -> subprocess.CompletedProcess[str]:
    """Import the package in a fresh interpreter, as ``program``, on a processor with ``flags``."""
    code = f"""
import pathlib, platform, sys
sys.argv[0] = {program!r}
opened = pathlib.Path.open
def open_faked(self, *rest, **named):
    if str(self) != "/proc/cpuinfo":
        return opened(self, *rest, **named)
    import io
    return io.StringIO("flags : {flags}\\n\\n")
pathlib.Path.open = open_faked
platform.machine = lambda: "x86_64"
sys.modules["numpy"] = sys.modules["openvino"] = None  # importing them fails, as on such a box
import edge_embed
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("program", ["/usr/bin/edge-embed", "-m"])
def test_the_program_says_that_the_processor_is_too_old(program: str) -> None:
    done = run_on(OLD, program)
    assert done.returncode == 1
    assert done.stderr.startswith("edge-embed: this processor lacks sse4_2, popcnt: take one of")
    assert done.stderr.count("\n") == 1


def test_the_library_raises_that_the_processor_is_too_old() -> None:
    assert "UnsupportedProcessorError: this processor lacks" in run_on(OLD, "app.py").stderr
    enough = run_on(f"{OLD} sse4_2 popcnt", "app.py").stderr
    assert "lacks" not in enough
    assert "numpy" in enough  # which was next


def test_this_machine_has_what_is_needed() -> None:
    assert machine.missing_instructions() == []
    assert Path("/proc/cpuinfo").exists() or machine.int8_is_exact()
