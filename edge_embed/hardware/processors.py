"""How many processors this process may use: by CPU affinity and the container's CPU quota.

With a thread for each of the machine's processors, a container with a quota of two of them is
throttled by the kernel for most of each period: slower than two threads, with a long tail latency.
"""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Processors", "usable_processors"]


@dataclass(frozen=True)
class Processors:
    """The processors that this process may use."""

    count: int
    """Threads that can run at once."""
    machine: int
    """Processors of the machine."""
    why: str
    """What determines ``count``, as text for a user."""

    @property
    def limited(self) -> bool:
        """Whether other processes may use part of the machine; threads are not pinned then."""
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
    # Rounded down: a thread beyond the quota would be throttled.
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
    """Return the cgroup's folder and its parents up to the mount.

    Inside a container perhaps only the mount exists.
    """
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
