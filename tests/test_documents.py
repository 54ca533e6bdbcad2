"""What the documents for contributors name is there, and every benchmark has its row."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "README.md", "benchmarks/README.md"])
def test_named_files_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    named = re.findall(r"`((?:edge_embed|tests|benchmarks|conversion|docs)/[\w./-]+)`", text)
    named += [f"{name.replace('.', '/')}.py" for name in re.findall(r"-m (benchmarks[.\w]+)", text)]
    links = re.findall(r"\]\((?!http)([\w./-]+)\)", text)
    missing = [name for name in named if not (ROOT / name).exists()]
    missing += [name for name in links if not (ROOT / document).parent.joinpath(name).exists()]
    assert named
    assert not missing


def test_every_benchmark_and_every_result_is_in_a_document() -> None:
    table = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    scripts = [file for file in (ROOT / "benchmarks").rglob("*.py") if file.stem != "__init__"]
    assert len(scripts) > 20
    for script in scripts:
        module = ".".join(script.relative_to(ROOT).with_suffix("").parts)
        assert module in table or script.name in table, f"{module} has no row"
    patterns = re.findall(r"\[([\w*.-]+\.json)\]", table)
    for result in (ROOT / "benchmarks/results").rglob("*.json"):
        assert any(fnmatch(result.name, pattern) for pattern in patterns), f"{result.name}: no row"
