"""Write docs/troubleshooting.md: every message of the product, made from the source.

    python tools/messages.py            print the document
    python tools/messages.py --write    write it

A message says what is wrong and, behind a colon or a semicolon, what to do about it; in braces is
what each case fills in.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("edge_embed", "conversion/edge_embed_conversion")
DOCUMENT = ROOT / "docs" / "troubleshooting.md"

KINDS = {
    "ModelNotFoundError": "No such model",
    "ModelFormatError": "A model folder with a file that is missing, damaged or contradictory",
    "InputError": "A text, an option or an input that cannot be used as it is",
    "OutputError": "A result that cannot be written",
    "OverloadedError": "Too much work at a time",
    "SearchEngineError": "A search engine that cannot be reached, or refuses",
    "ClusterError": "A Ray cluster that cannot be reached, or cannot finish",
    "StatusError": "An answer of the server other than 200",
    "UsageError": "A command line that is wrong (exit status 2)",
    "StoppedError": "An interrupted command, part of whose work stays",
    "DamagedIndexError": "A damaged index",
    "UnsupportedProcessorError": "A processor that is too old",
    "EdgeEmbedError": "Anything else",
    "warn": "Warnings",
}

_INTRODUCTION = """# Troubleshooting

Every message of the library, the commands and the server, by what is wrong; `…` stands for what
each case fills in. What to do about it is part of the message, behind its colon or semicolon.
`--debug` shows where an error was raised.

This file is made from the source by `python tools/messages.py --write`; a test compares the two.

Not a message but asked for often:

| What | Why, and what to do |
|---|---|
| A model is used in a forked process (multiprocessing, gunicorn --preload, Celery) | It works: \
the first call there compiles the model again, in a second or two. |
| An index is open in a process that forks | It works on both sides; the fork waits up to five \
seconds for searches and writes of other threads. |
| A model in another process by pickle | It is loaded again, from the same folder or name. |
| A `.NAME.*.part` lies beside an output | A run was killed; the next one that writes NAME removes \
it. |
| Filters: does `page=3` find `"3"`? | Yes: a number equals the text that spells it, a truth value \
`true` and `false`; whatever the file's format. Scores are exact to 1e-6, and the records that \
are kept depend on no block size. |
| Columns of Parquet that Python has no type for | Times below a microsecond and dates past 9999 \
are carried as they are, in text formats as ISO 8601; bytes as Base64; in \
JSON, NaN and infinity as null. |
"""


@dataclass(frozen=True, order=True)
class Message:
    """A message of the product."""

    kind: str
    text: str
    place: str


def messages() -> list[Message]:
    """Return every message, by kind."""
    found: set[Message] = set()
    for source in SOURCES:
        for file in sorted((ROOT / source).rglob("*.py")):
            place = file.relative_to(ROOT).as_posix()
            tree = ast.parse(file.read_text(encoding="utf-8"))
            found.update(Message(kind, text, place) for kind, text in _messages(tree))
    return sorted(found)


def document() -> str:
    """Return the whole document."""
    parts = [_INTRODUCTION]
    every = messages()
    for kind, title in KINDS.items():
        rows = [message for message in every if message.kind == kind]
        if not rows:
            continue
        parts.append(f"\n## {title}\n\n| Message | Remedy | From |\n|---|---|---|\n")
        for row in rows:
            what, remedy = _halves(row.text)
            parts.append(f"| {_cell(what)} | {_cell(remedy)} | `{row.place}` |\n")
    return "".join(parts)


def _messages(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        if name not in KINDS:
            continue
        for argument in node.args:
            text = _template(argument)
            if text and " " in text:
                yield name, " ".join(text.split())
                break


def _template(node: ast.AST) -> str | None:
    """Return the text of an expression, with what is filled in as an ellipsis."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(_template(part) or "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _template(node.left), _template(node.right)
        return None if left is None and right is None else (left or "…") + (right or "…")
    return None


def _halves(text: str) -> tuple[str, str]:
    """Split a message into what is wrong and what to do."""
    for separator in ("; ", ": "):
        what, found, remedy = text.rpartition(separator)
        if found and len(remedy) > 12 and what.strip("… "):
            return what, remedy
    return text, ""


def _cell(text: str) -> str:
    return re.sub(r"([|<>*_`])", r"\\\1", text)


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        DOCUMENT.write_text(document(), encoding="utf-8")
    else:
        sys.stdout.write(document())
