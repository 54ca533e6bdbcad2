"""The checks of ``edge-embed doctor``."""

import os
import platform
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Literal

from edge_embed import __version__
from edge_embed.doctor.speed import SpeedCheck, expected_speed
from edge_embed.embedder import Embedder
from edge_embed.hardware.machine import (
    describe_machine,
    free_memory_mb,
    instructions,
    int8_is_exact,
)
from edge_embed.hardware.processors import usable_processors
from edge_embed.model.file_names import RECEIPT
from edge_embed.model.fingerprint import model_fingerprint
from edge_embed.model.golden import TOLERANCE, GoldenValues
from edge_embed.model.receipt import check_files, read_receipt
from edge_embed.runtime.compile_cache import why_not_safe
from edge_embed.runtime.streams import choose_streams

__all__ = ["Finding", "examine"]

Status = Literal["ok", "note", "wrong"]

# Memory of a shipped model with its graph compiled for a few shapes.
_LEAST_MEMORY_MB = 300
_LEAST_CACHE_BYTES = 64_000_000
# Below this share of the speed of such a processor, something slows it down.
_SLOW = 0.4


@dataclass(frozen=True)
class Finding:
    """The result of a check."""

    name: str
    status: Status
    """``note``: not as usual, but no fault; ``wrong``: a fault, see ``remedy``."""
    detail: str
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The same as JSON values, for programs."""


def examine(model: Embedder) -> Iterator[Finding]:
    """Yield the result of each check of the machine, the installation and a loaded model."""
    yield _processor()
    yield _threads(model)
    yield _memory()
    yield _install()
    yield _cache(model)
    yield _files(model)
    yield _vectors(model)
    yield _speed(model)


def _processor() -> Finding:
    machine = describe_machine()
    name, found = machine["processor"] or platform.machine(), machine["instructions"]
    facts = {"processor": name, "architecture": platform.machine(), "instructions": found}
    return Finding("processor", "ok", f"{name}: {_meaning(found)}", facts=facts)


def _meaning(found: list[str]) -> str:
    if "amx_int8" in found:
        return "AMX multiplies INT8 by tiles, the fastest there is"
    if int8_is_exact():
        return "VNNI: INT8 is some three times as fast as FP32" if found else "unknown instructions"
    kind = "ARM" if platform.machine() in ("aarch64", "arm64") else f"{_widest(found)} without VNNI"
    return f"{kind}: INT8 sums are not exact here, so only weights are INT8, and the rest is float"


def _widest(found: list[str]) -> str:
    names = {"avx512f": "AVX-512", "avx2": "AVX2"}
    return next((names[name] for name in names if name in found), "SSE4.2")


def _threads(model: Embedder) -> Finding:
    processors = usable_processors()
    streams = choose_streams(model.runtime)
    facts = {
        "threads": processors.count,
        "machine": processors.machine,
        "batches_side_by_side": model.engine.requests,
        "batches_why": streams.why,
    }
    detail = (
        f"{processors.count}: {processors.why}; {model.engine.requests} batches side by side, "
        f"{streams.why}"
    )
    return Finding("threads", "ok", detail, facts=facts)


def _memory() -> Finding:
    free = free_memory_mb()
    if free is None:
        return Finding("memory", "note", "this system does not say how much memory is free")
    facts = {"free_mb": free}
    if free >= _LEAST_MEMORY_MB:
        return Finding("memory", "ok", f"{free} MB free", facts=facts)
    return Finding(
        "memory",
        "wrong",
        f"{free} MB free, a model that ships needs about {_LEAST_MEMORY_MB}",
        "stop something else, or raise the limit of the container or the service",
        facts,
    )


def _install() -> Finding:
    names = ("openvino", "tokenizers", "numpy")
    versions = {"edge-embed": __version__, "python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in names}
    detail = ", ".join(f"{name} {version}" for name, version in versions.items())
    return Finding("install", "ok", detail, facts=versions)


def _cache(model: Embedder) -> Finding:
    folder = model.runtime.cache_dir
    if folder is None:
        return Finding("cache", "note", "off: every start compiles the model anew")
    facts: dict[str, Any] = {"folder": str(folder)}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if why_not := why_not_safe(folder):
            what, _, remedy = why_not.partition(": ")
            detail = f"{folder} {what}: every start compiles the model anew"
            return Finding("cache", "wrong", detail, remedy, facts)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"can it be written?")
        room = os.statvfs(folder)
    except OSError as error:
        return Finding(
            "cache",
            "wrong",
            f"{folder} cannot be written ({error.strerror}): every start compiles the model anew",
            "give it to this user, or set XDG_CACHE_HOME to a folder that this user may write",
            facts,
        )
    facts["free_mb"] = room.f_bavail * room.f_frsize // 1_000_000
    if facts["free_mb"] * 1_000_000 < _LEAST_CACHE_BYTES:
        return Finding(
            "cache",
            "wrong",
            f"{folder} has {facts['free_mb']} MB left",
            "free some space, or set XDG_CACHE_HOME to another disk",
            facts,
        )
    return Finding("cache", "ok", f"{folder}, {facts['free_mb']} MB free", facts=facts)


def _files(model: Embedder) -> Finding:
    folder = model.config.folder
    fingerprint = model_fingerprint(model)
    facts = {"folder": str(folder), "variant": model.variant, "fingerprint": fingerprint}
    about = f"{folder.resolve().name} ({model.variant}), fingerprint {fingerprint[:12]}"
    receipt = read_receipt(folder)
    if receipt is None:
        return Finding("model", "note", f"{about}; no {RECEIPT} to hold it against", facts=facts)
    problems = [p for p in check_files(folder, receipt) if not _stays_behind(p)]
    if not problems:
        return Finding("model", "ok", f"{about}; files are those of the receipt", facts=facts)
    return Finding(
        "model",
        "wrong",
        f"{about}; " + "; ".join(problems),
        "copy the model again, or install the package again if it is one that ships",
        facts,
    )


def _stays_behind(problem: str) -> bool:
    """Return whether the problem is the missing checkpoint, without which models ship and run."""
    return problem == "model.safetensors is missing"


def _vectors(model: Embedder) -> Finding:
    golden = GoldenValues.from_folder(model.config.folder)
    if golden is None:
        return Finding("vectors", "note", "the model's card has no golden values to compare with")
    apart = golden.largest_difference(model.encode(golden.texts, normalize=True))
    facts = {"apart": round(apart, 6), "tolerance": TOLERANCE}
    if apart < TOLERANCE:
        detail = f"those of the model's card, up to {apart:.4f}"
        return Finding("vectors", "ok", detail, facts=facts)
    return Finding(
        "vectors",
        "wrong",
        f"they differ from those of the model's card by {apart:.4f}",
        "empty the cache folder and install openvino again; if that does not help, use another "
        "variant (--variant fp32) and report the processor",
        facts,
    )


def _speed(model: Embedder) -> Finding:
    load = os.getloadavg()[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        measured = SpeedCheck.run(model)
    name = model.config.folder.resolve().name
    expected = expected_speed(name, model.variant, instructions())
    facts = {
        "tokens_per_second": round(measured.tokens_per_second),
        "threads": measured.threads,
        "expected_tokens_per_second": expected and round(expected * measured.threads),
        "load": round(load, 2),
    }
    about = f"{facts['tokens_per_second']} tokens a second on {measured.threads} threads"
    if expected is None:
        detail = f"{about}; nothing is stored to compare with"
        return Finding("speed", "ok", detail, facts=facts)
    share = measured.tokens_per_second / (expected * measured.threads)
    about = f"{about}, {100 * share:.0f} % of what such a processor does"
    if share >= _SLOW:
        return Finding("speed", "ok", about, facts=facts)
    # The load before: what is measured adds its threads to it.
    if load > usable_processors().machine:
        busy = f"{about}; the machine is busy (load {load:.1f}), so this says little"
        return Finding("speed", "note", busy, facts=facts)
    return Finding(
        "speed",
        "wrong",
        about,
        "look for a power-saving mode, for heat, and for a quota of the container or the virtual "
        "machine",
        facts,
    )
