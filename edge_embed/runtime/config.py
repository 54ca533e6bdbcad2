"""The options of the engine: how a model is run on this machine.

To add an option, add a field here (with ``help`` it becomes an option of the command line and the
server), a keyword of :class:`edge_embed.embedder.Embedder`, and a property in
:mod:`edge_embed.runtime.engine`.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from edge_embed.errors import InputError
from edge_embed.hardware.processors import usable_processors

__all__ = ["Hint", "InferencePrecision", "RuntimeConfig", "choices_of"]

Hint = Literal["throughput", "latency"]
InferencePrecision = Literal["f32", "bf16", "f16"]


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """How a model is run on this machine."""

    hint: Hint | None = field(
        default=None,
        metadata={"help": "Tune for bulk or for single texts alone; else for both."},
    )
    """``throughput``: as many streams as OpenVINO chooses for that. ``latency``: one stream. None:
    a compromise (:mod:`edge_embed.runtime.streams`)."""
    threads: int | None = field(
        default=None,
        metadata={"help": "Inference threads; else what affinity and the container's quota allow."},
    )
    """Inference threads; None takes as many as this process may use."""
    streams: int | None = field(
        default=None,
        metadata={"help": "Batches computed side by side, at most one a thread; else by rule."},
    )
    """Batches computed in parallel, at most one a thread; None follows ``hint``."""
    inference_precision: InferencePrecision = field(
        default="f32",
        metadata={
            "help": "Arithmetic outside the INT8 part. f32 gives the same vectors everywhere."
        },
    )
    """Arithmetic outside the INT8 operations. f32 gives the same vectors on every processor."""
    layers: int | None = field(
        default=None,
        metadata={
            "help": "Run with so many layers, where the model has an exit of that number: faster."
        },
    )
    """The number of layers of an early exit in exits.json; None runs all layers."""
    packed: bool = True
    """Let several texts share a row, if the model's graph allows it."""
    cache_dir: Path | None = None
    """Folder of compiled models; None compiles at every load."""

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if value is not None or option.default is not None:
                _check(option.name.replace("_", " "), value, choices_of(option.name))
        if self.streams is not None:
            # OpenVINO would silently use fewer streams.
            threads = self.threads or usable_processors().count
            if self.streams > threads:
                raise InputError(
                    f"streams is {self.streams}; with {threads} threads it can be at most {threads}"
                )


def choices_of(option: str) -> tuple[str, ...]:
    """Return the allowed values of an option whose type is a Literal; () for other options."""
    kind = get_type_hints(RuntimeConfig)[option]
    kinds = (kind, *get_args(kind))  # such as Hint | None
    return next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())


def _check(name: str, value: Any, choices: tuple[str, ...]) -> None:  # noqa: ANN401
    if choices and value not in choices:
        known = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise InputError(f"unknown {name} {value!r}: choose {known}")
    if type(value) is int and value < 1:
        raise InputError(f"{name} is {value}; it must be at least 1")
