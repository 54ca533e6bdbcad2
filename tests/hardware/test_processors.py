"""How many threads: affinity and quotas, on a faked cgroup tree and under taskset."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_embed.hardware.processors import usable_processors


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def tree(root: Path, membership: str, files: dict[str, str]) -> Path:
    """Fake the parts of /proc and /sys that are read."""
    for name, content in {"proc/self/cgroup": membership, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(
    ("membership", "files", "count"),
    [
        ("", {}, 8),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "380000 100000\n"}, 3),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "9900000 100000\n"}, 8),
        # The tightest of the group and those above it.
        (
            "0::/a/b\n",
            {
                "sys/fs/cgroup/a/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "500000 100000\n",
            },
            3,
        ),
        # In a container the path is the host's, and only the mount is there.
        ("0::/docker/abc\n", {"sys/fs/cgroup/cpu.max": "400000 100000\n"}, 4),
        (
            "4:cpu,cpuacct:/x\n1:memory:/x\n",
            {
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
            },
            2,
        ),
        (
            "4:cpu,cpuacct:/\n",
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            8,
        ),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "rubbish\n"}, 8),
    ],
)
def test_quotas(tmp_path: Path, membership: str, files: dict[str, str], count: int) -> None:
    processors = usable_processors(tree(tmp_path, membership, files))
    assert processors.count == count
    assert processors.limited == (count < 8)


def test_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 5, 7})
    assert usable_processors(tmp_path).count == 3
    assert "affinity: 3 of 8" in usable_processors(tmp_path).why
    tree(tmp_path, "0::/\n", {"sys/fs/cgroup/cpu.max": "200000 100000\n"})
    assert usable_processors(tmp_path).count == 2
    assert "quota of 2" in usable_processors(tmp_path).why


def test_the_engine_follows(tiny_model: Path) -> None:
    code = f"""
import json
from edge_embed import Embedder
print(json.dumps(Embedder({str(tiny_model)!r}, cache=False).engine.properties))
"""
    one = min(json.loads(_affinity()))
    command = ["taskset", "-c", str(one), sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    properties = json.loads(done.stdout)
    assert properties["INFERENCE_NUM_THREADS"] == "1"
    if len(json.loads(_affinity())) > 1:
        assert properties["ENABLE_CPU_PINNING"] == "False"


def _affinity() -> str:
    code = "import json, os; print(json.dumps(sorted(os.sched_getaffinity(0))))"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
