"""Docstrings as Markdown: an extension of the reader that mkdocstrings uses."""

import re
from typing import Any

import griffe

__all__ = ["Docstrings", "as_markdown"]

_ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`(~?)\.?([\w.]+)`")


class Docstrings(griffe.Extension):
    """Makes Markdown of each docstring as it is read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:  # noqa: ANN401
        """Replace an object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(docstring: str) -> str:
    """Return a docstring with its examples as code, and names without their roles."""
    lines: list[str] = []
    code = False
    for line in docstring.splitlines():
        example = line.startswith((">>> ", "... "))
        if example != code and (example or not line.strip()):
            lines.append("```python" if example else "```")
            code = example
        lines.append(line.removesuffix("  # doctest: +SKIP"))
    text = "\n".join([*lines, "```"] if code else lines)
    return _ROLE.sub(lambda role: f"`{role[2].rpartition('.')[2] if role[1] else role[2]}`", text)
