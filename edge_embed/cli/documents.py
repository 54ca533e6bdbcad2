"""Results of a command as one JSON document."""

import json
from pathlib import Path

from edge_embed.cli.terminal import echo_json
from edge_embed.files.atomic import atomic_file

__all__ = ["write_document"]


def write_document(document: object, target: str | None) -> bool:
    """Write ``document`` to a file, whole or not at all; - is standard output, None nowhere.

    Returns:
        Whether it was written to standard output, to which nothing else may then be written.

    Raises:
        OutputError: the file cannot be written.
    """
    if target is None:
        return False
    if target == "-":
        echo_json(document, indent=2, allow_nan=False)
        return True
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_file(Path(target)) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return False
