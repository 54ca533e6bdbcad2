"""The option --where: texts by their metadata."""

from collections.abc import Sequence

import click

from edge_embed.errors import InputError
from edge_embed.files.json_values import parse_line

__all__ = ["where_condition", "where_option"]

where_option = click.option(
    "--where",
    multiple=True,
    metavar="NAME=VALUE",
    help="Only texts with this metadata; VALUE is JSON or a plain text. May be repeated.",
)


def where_condition(parts: Sequence[str]) -> dict[str, object] | None:
    """Return what the options say; None where there are none."""
    return dict(map(_condition, parts)) or None


def _condition(part: str) -> tuple[str, object]:
    name, equals, value = part.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--where takes NAME=VALUE, not {part!r}")
    try:
        return name, parse_line(value, "")
    except InputError:  # no JSON, so it is the text itself
        return name, value
