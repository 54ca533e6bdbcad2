"""The examples of docs/integrations.md, as they stand: they print what they say they print."""

import ast
import contextlib
import importlib.util
import io
import re
from importlib import metadata
from pathlib import Path

import pytest

from edge_embed.integrations.requirements import REQUIREMENTS

DOCUMENT = Path(__file__).parents[2] / "docs" / "integrations.md"
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


@pytest.mark.clients
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example(title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = EXAMPLES[title]
    if absent := missing(code):
        pytest.skip(f"needs {', '.join(absent)} (the group 'clients')")
    monkeypatch.chdir(tmp_path)
    promised = re.findall(r"^print\(.*\)  # (.*)$", code, re.M)
    assert promised
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, title, "exec"), {"__name__": "__main__"})
    assert said.getvalue().splitlines() == promised


def test_the_table_has_a_row_for_each_extra() -> None:
    for extra, need in REQUIREMENTS.items():
        row = re.search(rf"^\|.*`edge-embed\[{extra}\]`.*$", TEXT, re.M)
        assert row, extra
        assert need.tested in row[0], f"{extra} is tested with {need.tested}"
