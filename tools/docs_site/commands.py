"""The reference of the commands: what ``--help`` prints for each, as one page."""

from collections.abc import Iterator

import click

from edge_embed.cli import main

__all__ = ["commands", "document"]

_WIDTH = 96  # characters a line


def commands() -> Iterator[click.Context]:
    """Yield a context of the program and of each of its commands, in the order of its help."""
    yield from _below(main, None, "edge-embed")


def document() -> str:
    """Return the page."""
    parts = ["# Commands\n\nWhat `--help` says of each.\n"]
    for context in commands():
        help_ = context.command.get_help(context)
        parts.append(f"\n## {context.command_path}\n\n```text\n{help_.strip()}\n```\n")
    return "".join(parts)


def _below(
    command: click.Command, parent: click.Context | None, name: str
) -> Iterator[click.Context]:
    context = click.Context(
        command,
        parent=parent,
        info_name=name,
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        **command.context_settings,
    )
    yield context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            if inner is not None and not inner.hidden:
                yield from _below(inner, context, each)
