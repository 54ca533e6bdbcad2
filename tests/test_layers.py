"""Imports inside the package go one way, and its files stay small: by rule, for every module."""

import ast
from collections.abc import Iterator
from pathlib import Path

import edge_embed

ROOT = Path(edge_embed.__file__).parent

# Each layer may import those above it in this list, and itself.
LAYERS = (
    ("errors", "vectors"),
    ("hardware", "files"),
    ("model",),
    ("runtime",),
    ("encoding",),
    ("sentence_transformers_api",),
    ("embedder",),
    ("pairs",),
    ("tasks", "evaluation"),
    ("projection",),
    ("bench",),
    ("integrations", "server"),
    ("compat", "doctor"),
    ("cli",),
    ("__init__", "__main__"),
)
# What a layer leaves alone although it lies above: tasks take arrays and know no model.
UNKNOWN_TO = {"tasks": {"hardware", "model", "runtime", "encoding", "embedder"}}
# The only modules that call the engine.
OPENVINO = ("edge_embed.runtime.",)
MAX_LOOSE, MAX_LINES = 8, 355


def modules() -> dict[str, Path]:
    """Return every module by its dotted name."""
    names = {}
    for file in ROOT.rglob("*.py"):
        parts = file.relative_to(ROOT.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return names


def imported(file: Path, known: dict[str, Path]) -> Iterator[str]:
    """Yield the dotted names that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def layer(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def test_imports_go_one_way() -> None:
    known = modules()
    height = {name: number for number, names in enumerate(LAYERS) for name in names}
    assert {layer(name) for name in known} <= height.keys(), "give the new part its layer"
    wrong = []
    for name, file in known.items():
        own = layer(name)
        for other in imported(file, known):
            if other.split(".")[0] != "edge_embed" or layer(other) == own:
                continue
            if other == "edge_embed":  # its version, which has no imports of its own
                assert height[own] >= height["server"], f"{name} imports the package itself"
                continue
            side = height[layer(other)] == height[own]
            if (
                height[layer(other)] > height[own]
                or side
                or layer(other) in UNKNOWN_TO.get(own, ())
            ):
                wrong.append(f"{name} imports {other}")
    assert not wrong


def test_no_cycle_of_modules() -> None:
    known = modules()
    graph = {
        name: {other for other in imported(file, known) if other in known and other != name}
        for name, file in known.items()
        if file.name != "__init__.py"
    }
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in graph and name not in done:
            for other in graph[name]:
                visit(other, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_only_the_runtime_calls_the_engine() -> None:
    known = modules()
    callers = {
        name
        for name, file in known.items()
        if any(other.split(".")[0] in ("openvino", "tokenizers") for other in imported(file, known))
    }
    assert callers
    assert all(name.startswith(OPENVINO) for name in callers), callers


def test_few_loose_modules_and_no_long_files() -> None:
    assert len(list(ROOT.glob("*.py"))) <= MAX_LOOSE
    lines = {
        file: len(file.read_text(encoding="utf-8").splitlines()) for file in modules().values()
    }
    assert not {str(file): count for file, count in lines.items() if count > MAX_LINES}
