"""Terminal output of commands: text without control characters, progress bars, and checks."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_embed.errors import InputError

if TYPE_CHECKING:
    from typing import NoReturn

    from tqdm import tqdm

__all__ = [
    "check_suffix",
    "counting",
    "echo",
    "echo_json",
    "is_terminal",
    "printable",
    "progress_bar",
    "say_recall",
]

_NOT_ASCII = re.compile(r"[^\n\x20-\x7e]")


def printable(text: str, limit: int | None = None) -> str:
    """Return ``text`` as one line without control characters, cut to ``limit`` characters."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def echo(text: str, *, err: bool = False) -> None:
    """Write lines without control characters, as parts of them may come from files."""
    click.echo("\n".join(printable(line) for line in text.split("\n")), err=err)


def echo_json(document: object, **options: Any) -> None:  # noqa: ANN401
    """Write one JSON document to standard output, with unprintable characters escaped.

    Args:
        document: A value for :func:`json.dumps`.
        options: Options of :func:`json.dumps`.
    """
    text = json.dumps(document, ensure_ascii=False, **options)
    click.echo(_NOT_ASCII.sub(lambda found: _json_escaped(found[0]), text))


def _json_escaped(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


def is_terminal() -> bool:
    """Return whether standard error is a terminal."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # it is closed
        return False


def progress_bar(total: int | None, what: str, *, done: int = 0) -> "tqdm[NoReturn]":
    """Return a progress bar on stderr; nothing is shown where stderr is no terminal."""
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


@contextmanager
def counting(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    """Show such a bar within the block; the function given takes the number of further texts."""
    with progress_bar(total, what) as bar:

        def count(done: int) -> None:
            bar.update(done)

        yield count


def say_recall(recall: float, what: str) -> None:
    """Print the recall of an approximate search to stderr; nothing for an exact one."""
    if recall < 1:
        sys.stderr.write(
            f"{what} found in a sample: {recall:.1%} of those that comparing all pairs finds\n"
        )


def check_suffix(what: str, path: str | None, *allowed: str) -> None:
    """Check the ending of an output file, before any work is done; None is no output.

    Raises:
        InputError: the name ends in none of ``allowed``.
    """
    if path is not None and Path(path).suffix.lower() not in allowed:
        raise InputError(f"the {what} {path} should be a {' or '.join(allowed)} file")
