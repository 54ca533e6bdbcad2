"""Results of a command as one JSON document."""

import json
from pathlib import Path

import click

from edge_embed.files.atomic import atomic_file

__all__ = ["write_document"]


def write_document(document: object, target: str | None) -> bool:
    """Write ``document`` to a file, whole or not at all; - is standard output, None nowhere.

    Returns:
        Whether it went to standard output, where nothing else may go then.

    Raises:
        OutputError: the file cannot be written.
    """
    if target is None:
        return False
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    if target == "-":
        click.echo(text)
        return True
    with atomic_file(Path(target)) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return False
