"""The examples of docs/integrations.md, as they stand: they print what they say they print."""

import ast
import contextlib
import importlib.util
import io
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from edge_embed.integrations.requirements import REQUIREMENTS
from tests.support.serving import Program, program

DOCUMENT = Path(__file__).parents[2] / "docs" / "integrations.md"
SERVER = "127.0.0.1:8080"
TEXT = DOCUMENT.read_text(encoding="utf-8")
EXAMPLES = {
    f"{section.splitlines()[0]}{f' {number}' if number else ''}": code
    for section in re.split(r"^## ", TEXT, flags=re.M)[1:]
    for number, code in enumerate(re.findall(r"^```python\n(.*?)^```", section, re.M | re.S))
}


def missing(code: str) -> list[str]:
    """The libraries that an example imports, itself or by its adapter, and that are not here."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    extras = {module.rpartition(".")[2].replace("_", "-") for module in modules}
    packages = {REQUIREMENTS[extra].package for extra in extras & REQUIREMENTS.keys()}
    installed = {distribution.name.lower() for distribution in metadata.distributions()}
    names = {module.partition(".")[0] for module in modules}
    absent = {name for name in names if importlib.util.find_spec(name) is None}
    return sorted(absent | (packages - installed))


@pytest.fixture(scope="module")
def server() -> Iterator[Program]:
    with program() as running_program:
        yield running_program


@pytest.mark.clients
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    code = EXAMPLES[title]
    if absent := missing(code):
        pytest.skip(f"needs {', '.join(absent)} (the group 'clients')")
    monkeypatch.chdir(tmp_path)
    promised = re.findall(r"^print\(.*\)  # (.*)$", code, re.M)
    assert promised
    if SERVER in code:
        code = code.replace(SERVER, request.getfixturevalue("server").address)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, title, "exec"), {"__name__": "__main__"})
    assert said.getvalue().splitlines() == promised


def test_the_table_has_a_row_for_each_extra() -> None:
    for extra, need in REQUIREMENTS.items():
        row = re.search(rf"^\|.*`edge-embed\[{extra}\]`.*$", TEXT, re.M)
        assert row, extra
        assert need.tested in row[0], f"{extra} is tested with {need.tested}"
