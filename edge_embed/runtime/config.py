"""How the caller wants a model run on this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from edge_embed.errors import InputError
from edge_embed.hardware.processors import usable_processors

__all__ = ["Hint", "InferencePrecision", "RuntimeConfig"]

Hint = Literal["throughput", "latency"]
InferencePrecision = Literal["f32", "bf16", "f16"]


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """How a model is run on this machine."""

    hint: Hint = "throughput"
    """``throughput``: several streams, for bulk. ``latency``: one stream, for single queries."""
    threads: int | None = None
    """Inference threads; None lets the engine use what this process may use."""
    streams: int | None = None
    """Batches computed side by side, at most one a thread; None lets the hint decide."""
    inference_precision: InferencePrecision = "f32"
    """Arithmetic outside the INT8 part. f32 gives the same vectors on every processor."""
    packed: bool = True
    """Put several texts side by side in a row where the model's graph allows it."""
    cache_dir: Path | None = None
    """Folder of compiled models; None compiles anew at every load."""

    def __post_init__(self) -> None:
        if self.hint not in get_args(Hint):
            raise InputError(f"unknown hint {self.hint!r}: choose throughput or latency")
        if self.inference_precision not in get_args(InferencePrecision):
            raise InputError(
                f"unknown inference precision {self.inference_precision!r}: choose f32, bf16 or f16"
            )
        for name, value in (("threads", self.threads), ("streams", self.streams)):
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1")
        if self.streams is not None:
            # The engine would take fewer without a word.
            threads = self.threads or usable_processors().count
            if self.streams > threads:
                raise InputError(
                    f"streams is {self.streams}; with {threads} threads it can be at most {threads}"
                )
