"""What was tried, and what fell."""

import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edge_embed.errors import EdgeEmbedError

__all__ = ["WILD", "Outcome"]

_LONG = "x" * 10_000

WILD: list[Any] = [
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    2**70,
    1e308,
    "",
    _LONG,
    [],
    {},
    [[]],
    "\ud83d",
]
"""Values that stand where others were expected."""


@dataclass
class Outcome:
    """What was tried, and what fell."""

    tried: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    fell: list[str] = field(default_factory=list)

    def attempt(self, what: str, call: Callable[[], object]) -> None:
        """Call; an error that is raised on purpose is right, any other one is kept."""
        self.tried[what] += 1
        try:
            call()
        except EdgeEmbedError as error:
            self.refused[what] += 1
            # A wild value of a model's own file may be quoted in full.
            if "\n" in str(error) or len(str(error)) > 5000 + len(_LONG):
                self.fell.append(f"{what}: a message of {len(str(error))} characters or many lines")
        except Exception:  # noqa: BLE001 - the point
            self.fell.append(f"{what}: {traceback.format_exc(limit=-4)}")
