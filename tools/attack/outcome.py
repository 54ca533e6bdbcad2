"""What was tried, how often, and what fell."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_embed.errors import EdgeEmbedError

__all__ = ["Outcome", "table"]


@dataclass
class Outcome:
    """One kind of attack."""

    name: str
    tried: int = 0
    refused: int = 0
    fell: list[str] = field(default_factory=list)
    """What went wrong, a line each."""
    note: str = ""
    seconds: float = 60.0
    """How long it may take."""
    started: float = field(default_factory=time.monotonic)

    def has_time(self) -> bool:
        """Whether the attack may go on."""
        return time.monotonic() - self.started < self.seconds

    def attempt(self, what: str, action: Callable[[], object]) -> None:
        """Try something: it may succeed, or be refused by an error of the package."""
        self.tried += 1
        try:
            action()
        except EdgeEmbedError as error:
            self.refused += 1
            if "\n" in str(error) or len(str(error)) > 2000:
                self.fell.append(f"{what}: a message of {len(str(error))} characters")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self.fell.append(f"{what}: {type(error).__name__}: {str(error)[:150]}")


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes as lines of text."""
    lines = [f"{'attack':<34} {'tried':>7} {'refused':>8} {'fell':>5}  note"]
    for outcome in outcomes:
        counts = f"{outcome.tried:>7} {outcome.refused:>8} {len(outcome.fell):>5}"
        lines.append(f"{outcome.name:<34} {counts}  {outcome.note}")
        lines += [f"    {line}" for line in outcome.fell[:10]]
    return "\n".join(lines)
