"""A memory cgroup for a process under test: the limit that a systemd unit's ``MemoryMax=`` sets."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["join_command", "memory_group"]

_ROOT = Path("/sys/fs/cgroup")


@contextmanager
def memory_group(name: str, limit_bytes: int) -> Iterator[Path]:
    """Yield a new cgroup of either version with the limit; it is removed at the end.

    Raises:
        OSError: this process may make none; it takes root, and a writable /sys/fs/cgroup.
    """
    one = (_ROOT / "memory").is_dir()
    group = (_ROOT / "memory" if one else _ROOT) / name
    group.mkdir(exist_ok=True)
    try:
        (group / ("memory.limit_in_bytes" if one else "memory.max")).write_text(str(limit_bytes))
        yield group
    finally:
        for _ in range(50):  # an ended process leaves it a moment later
            with suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.1)


def join_command(group: Path, command: list[str]) -> list[str]:
    """Return a command that enters the group and becomes ``command``."""
    return ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh", *command]
