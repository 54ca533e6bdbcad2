"""How many processors may this process use? Affinity and the container's quota decide.

A thread pool as large as the machine, inside a container that may use two processors of it, is
stopped by the kernel for most of each period: slower than two threads, with a long tail.
"""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Processors", "usable_processors"]


@dataclass(frozen=True)
class Processors:
    """What this process may use."""

    count: int
    """Threads that can run at once."""
    machine: int
    """Processors of the machine."""
    why: str
    """What decided, for people."""

    @property
    def limited(self) -> bool:
        """Whether others have a claim to the machine; threads are then not tied to processors."""
        return self.count < self.machine


def usable_processors(root: Path = Path("/")) -> Processors:
    """Return how many processors this process may use.

    Reads the scheduler's affinity (which a cpuset bounds) and the CPU quotas of cgroup v2
    (``cpu.max``) and v1 (``cpu.cfs_quota_us``), of this process's group and all above it.

    Args:
        root: Where ``proc`` and ``sys`` are mounted; another folder in tests.
    """
    machine = os.cpu_count() or 1
    try:
        affinity = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        affinity = machine
    quota = _quota(root)
    # Rounded down: a thread more than the quota is a thread that is stopped.
    allowed = affinity if quota is None else max(1, min(affinity, int(quota)))
    if quota is not None and allowed < affinity:
        return Processors(allowed, machine, f"the cgroup's quota of {quota:g} processors")
    if affinity < machine:
        return Processors(allowed, machine, f"the affinity: {affinity} of {machine} processors")
    return Processors(allowed, machine, f"all {machine} processors of the machine")


def _quota(root: Path) -> float | None:
    """Return the least quota in processors, or None where there is none."""
    quotas = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            quotas += [_v2(folder) for folder in _groups(root / "sys/fs/cgroup", path)]
        elif "cpu" in controllers.split(","):
            for mount in (controllers, "cpu"):
                quotas += [_v1(folder) for folder in _groups(root / "sys/fs/cgroup" / mount, path)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _groups(mount: Path, path: str) -> list[Path]:
    """Return the group's folder and those above it. In a container only the mount may be there."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return [mount.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _v2(folder: Path) -> float | None:
    quota, _, period = _read(folder / "cpu.max").strip().partition(" ")
    return _ratio(quota, period or "100000")


def _v1(folder: Path) -> float | None:
    return _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such file
        return None
    return share if share > 0 else None  # -1 is "no quota"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
