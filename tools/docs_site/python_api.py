"""The reference of the library: a page a part, filled from the docstrings by mkdocstrings.

Names are those of each module's ``__all__``, read from the source: what an adapter is for need not
be installed.
"""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

__all__ = ["DOCUMENTS", "document", "public_names"]

ROOT = Path(__file__).resolve().parents[2]
_ADAPTERS = "edge_embed.integrations"
# What only some of our own modules use; exports and clusters are started by their two functions.
_INNER = {"programs", "requirements", "role_encoder", "base", "registry", "partitions"}


def public_names(module: str) -> list[str]:
    """Return a module's ``__all__``."""
    for node in _source(module).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    raise LookupError(f"{module} has no __all__")


def document(title: str, modules: Sequence[str]) -> str:
    """Return a page of modules, each with its public names."""
    parts = [f"# {title}\n"]
    for module in modules:
        options = "    options: {members: false, heading_level: 2, show_root_toc_entry: true}"
        parts.append(f"\n::: {module}\n{options}\n")
        parts += [f"\n::: {module}.{name}\n" for name in public_names(module)]
    return "".join(parts)


def adapters() -> list[str]:
    """Return the modules for other libraries."""
    return sorted(_adapters())


def _adapters() -> Iterator[str]:
    folder = ROOT / _ADAPTERS.replace(".", "/")
    for file in folder.rglob("*.py"):
        if file.stem not in {"__init__", *_INNER}:
            yield ".".join(file.relative_to(ROOT).with_suffix("").parts)
    yield "edge_embed.compat.sentence_transformers"


def _source(module: str) -> ast.Module:
    path = ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "python": partial(document, "Python", ["edge_embed"]),
    "tasks": partial(
        document,
        "Tasks and evaluation",
        ["edge_embed.tasks", "edge_embed.projection", "edge_embed.evaluation"],
    ),
    "adapters": lambda: document("Adapters", adapters()),
}
"""The pages, by the name of their file."""
