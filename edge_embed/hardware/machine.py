"""The machine and the software that a measurement was made with."""

import os
import platform
from contextlib import suppress
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

__all__ = [
    "describe_machine",
    "free_memory_mb",
    "instructions",
    "int8_is_exact",
    "memory_mb",
    "missing_instructions",
    "processor_name",
    "several_streams_are_right",
]

_PACKAGES = ("edge-embed", "openvino", "tokenizers", "numpy", "nncf", "optimum-intel", "torch")
_INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8")
_EXACT_INT8 = {"avx_vnni", "avx512_vnni", "amx_int8"}
# What numpy's and openvino's wheels are compiled for (x86-64-v2), by the names of Linux.
_NEEDED = ("ssse3", "sse4_1", "sse4_2", "popcnt")
_X86 = ("x86_64", "amd64")


def describe_machine() -> dict[str, Any]:
    """Return processor, instruction sets, load and versions of packages, as JSON values."""
    return {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "instructions": instructions(),
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "load_before": round(os.getloadavg()[0], 2),
    }


def processor_name() -> str:
    """Return the processor's model, as the system calls it."""
    return _processor().get("model name") or platform.processor()


def instructions() -> list[str]:
    """Return those instruction sets of the processor that inference uses, such as ``avx2``."""
    flags = _flags()
    return [name for name in _INSTRUCTIONS if name in flags]


def int8_is_exact() -> bool:
    """Return whether sums of products of 8-bit numbers are exact: on x86 with VNNI or AMX.

    An x86 whose system does not name its instruction sets (it is not Linux) counts as one.
    """
    if platform.machine().lower() not in _X86:
        return False
    flags = _flags()
    return not flags or bool(_EXACT_INT8 & flags)


def several_streams_are_right() -> bool:
    """Return whether the engine may compute several batches in parallel: not on x86 without AVX2.

    There the vectors of OpenVINO 2026.4 have nothing to do with the texts as soon as a model has
    more than one stream. An x86 whose system does not name its instruction sets counts as having
    AVX2.
    """
    flags = _flags()
    return platform.machine().lower() not in _X86 or not flags or "avx2" in flags


def missing_instructions() -> list[str]:
    """Return what an x86 lacks of the instruction sets without which numpy cannot be imported."""
    flags = _flags()
    if platform.machine().lower() not in _X86 or not flags:
        return []
    return [name for name in _NEEDED if name not in flags]


def free_memory_mb(root: Path = Path("/")) -> int | None:
    """Return how much memory in MB (10^6 bytes) this process can still allocate.

    It is the least of what is free on the machine and in the process's cgroup; None if not on
    Linux.

    Args:
        root: Where ``proc`` and ``sys`` are mounted; another folder in tests.
    """
    free = [
        int(line.split()[1]) * 1024
        for line in _lines(str(root / "proc/meminfo"))
        if line.startswith("MemAvailable:")
    ]
    # A container sees its own cgroup as the root of the hierarchy.
    for folder, limit, used in (
        ("sys/fs/cgroup", "memory.max", "memory.current"),
        ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        numbers = [_lines(str(root / folder / name)) for name in (limit, used)]
        if all(number and number[0].isdigit() for number in numbers):
            # The page cache counts as used, but is freed when memory is needed.
            stat = dict(line.split() for line in _lines(str(root / folder / "memory.stat")))
            files = int(stat.get("inactive_file", 0))
            free.append(int(numbers[0][0]) - int(numbers[1][0]) + files)
    return max(0, min(free)) // 1_000_000 if free else None


def memory_mb(process: int | str = "self") -> dict[str, float]:
    """Return a process's ``resident`` memory, its ``peak`` so far and ``anonymous`` part, in MiB.

    Pages of files are no part of the last. Empty if not on Linux, or if the process has ended.
    """
    names = {"VmRSS": "resident", "VmHWM": "peak", "RssAnon": "anonymous"}
    found = {}
    for line in _lines(f"/proc/{process}/status"):
        name, _, value = line.partition(":")
        if name in names:
            found[names[name]] = round(int(value.split()[0]) / 1024, 1)
    return found


def _flags() -> set[str]:
    return set(_processor().get("flags", "").split())


@cache
def _processor() -> dict[str, str]:
    """Return the fields of the first processor in /proc/cpuinfo."""
    facts: dict[str, str] = {}
    with suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        for line in takewhile(str.strip, lines):
            name, _, value = line.partition(":")
            facts[name.strip()] = value.strip()
    return facts


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _version(name: str) -> str | None:
    from importlib import metadata  # here, as a model is loaded without it

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
