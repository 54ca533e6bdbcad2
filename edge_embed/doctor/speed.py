"""Measure the speed of embedding for a few seconds, and compare it with similar processors."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_embed.embedder import Embedder
from edge_embed.hardware.processors import usable_processors

__all__ = ["SpeedCheck", "expected_speed"]

_SECONDS = 3.0
_CALL = 256
# Tokens a second for each thread, from benchmarks/results/speed: doctor_*.json; for
# edge-embed-albert bench_edge-embed-albert.json, with AMX, and scaling.json, with AVX-512 VNNI.
_EXPECTED = Path(__file__).with_name("expected_speed.json")
# The first of these instruction sets that a processor has determines the expected speed.
_KINDS = ("amx_int8", "avx512_vnni", "avx_vnni", "avx2")
_SUBJECTS = ("The parcel", "Our invoice", "A new password", "The last order", "Your refund")
_EVENTS = (
    "has not arrived after {} days",
    "was sent to the wrong address in house number {}, and nobody at the shop could say why",
    "costs {} euros",
    "can be changed in the settings under point {}, or by a mail to us",
)


@dataclass(frozen=True)
class SpeedCheck:
    """The speed of a model on this machine, for many texts."""

    tokens_per_second: float
    threads: int

    @classmethod
    def run(cls, model: Embedder) -> "SpeedCheck":
        """Embed generated sentences for about three seconds, after one call that is not timed."""
        model.encode(_texts(0))
        tokens, call, started = 0, 0, time.perf_counter()
        while (seconds := time.perf_counter() - started) < _SECONDS or call == 0:
            call += 1
            tokens += int(model.encode_detailed(_texts(call)).lengths.sum())
        seconds = time.perf_counter() - started
        return cls(tokens / seconds, model.runtime.threads or usable_processors().count)


def expected_speed(name: str, variant: str, instructions: Sequence[str]) -> float | None:
    """Return the tokens a second for each thread measured on a processor of the same kind.

    None if this model was not measured on such a processor.
    """
    kind = next((kind for kind in _KINDS if kind in instructions), None)
    known: dict[str, dict[str, float]] = json.loads(_EXPECTED.read_text(encoding="utf-8"))
    return known.get(f"{name} {variant}", {}).get(kind or "")


def _texts(call: int) -> list[str]:
    """Return sentences that differ from those of other calls."""
    return [
        f"{_SUBJECTS[n % 5]} {_EVENTS[n // 5 % 4].format(call * _CALL + n)}." for n in range(_CALL)
    ]
