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
    """Return the condition of the options --where; None without any."""
    found: dict[str, object] = {}
    for part in parts:
        name, value = _condition(part)
        if name in found:
            raise click.UsageError(
                f"--where names {name!r} twice; for either of two values write '{name}=[3, 4]'"
            )
        found[name] = value
    return found or None


def _condition(part: str) -> tuple[str, object]:
    name, equals, value = part.partition("=")
    if not equals or not name or name.endswith(("<", ">", "!")):
        raise click.UsageError(
            f"--where takes NAME=VALUE, not {part!r}; there are no ranges, but lists: page=[3, 4]"
        )
    try:
        parsed = parse_line(value, "")
    except InputError:  # no JSON, so it is the text itself
        return name, value
    if isinstance(parsed, (int, float)) and not isinstance(parsed, bool):
        # A table of texts has the number as somebody wrote it: 1.50, 1e3.
        return name, [parsed, value]
    return name, parsed
