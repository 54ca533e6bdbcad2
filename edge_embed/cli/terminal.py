"""What commands share towards the terminal: safe text, progress bars, and checks of outputs."""

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
    """Write lines of which parts come from files: nothing in them steers the terminal."""
    click.echo("\n".join(printable(line) for line in text.split("\n")), err=err)


def echo_json(document: object, **options: Any) -> None:  # noqa: ANN401
    """Write one JSON document to standard output, what is not printable as its number.

    Args:
        document: What :func:`json.dumps` takes.
        options: Its options.
    """
    text = json.dumps(document, ensure_ascii=False, **options)
    click.echo(_NOT_ASCII.sub(lambda found: _json_escaped(found[0]), text))


def _json_escaped(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


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


@contextmanager
def counting(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    """Show such a bar, and give what moves it: the number of texts that were done since."""
    with progress_bar(total, what) as bar:

        def count(done: int) -> None:
            bar.update(done)

        yield count


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
