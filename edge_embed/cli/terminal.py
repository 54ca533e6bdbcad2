"""What commands share towards the terminal: safe text, progress bars, and checks of outputs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_embed.errors import InputError

if TYPE_CHECKING:
    from typing import NoReturn

    from tqdm import tqdm

__all__ = ["check_suffix", "is_terminal", "printable", "progress_bar", "say_recall"]


def printable(text: str, limit: int | None = None) -> str:
    """Return ``text`` as one line without control characters, cut to ``limit`` characters."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def is_terminal() -> bool:
    """Whether somebody may be watching standard error."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # it is closed
        return False


def progress_bar(total: int | None, what: str, *, done: int = 0) -> "tqdm[NoReturn]":
    """Return a bar on stderr that counts texts; silent where stderr is no terminal."""
    from tqdm import tqdm

    return tqdm(
        total=total,
        initial=done,
        desc=what,
        unit="text",
        unit_scale=True,
        leave=False,
        disable=not is_terminal(),
        file=sys.stderr,
    )


def say_recall(recall: float, what: str) -> None:
    """Say on stderr what an approximate search has found; nothing where it was exact."""
    if recall < 1:
        sys.stderr.write(
            f"{what} found in a sample: {recall:.1%} of those that comparing all pairs finds\n"
        )


def check_suffix(what: str, path: str | None, *allowed: str) -> None:
    """Refuse an output file of another format before any work is done; None is no output.

    Raises:
        InputError: the name ends in none of ``allowed``.
    """
    if path is not None and Path(path).suffix.lower() not in allowed:
        raise InputError(f"the {what} {path} should be a {' or '.join(allowed)} file")
