"""The examples of the pages run: the start and the concepts as they stand, the uses on a few texts.

What needs a server, a cluster or a model that does not ship is not run here; it is listed.
"""

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge_embed import Embedder
from edge_embed.cli import main

DOCS = Path(__file__).parents[1] / "docs"

# Of the pages of uses: blocks with these words are not run.
ELSEWHERE = {"PairScorer": "a pair model", "search_engines": "a server", "ray_cluster": "a cluster"}


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}[^\n]*\n(.*?)^```", text, re.M | re.S)


def run(codes: list[str], names: dict[str, Any]) -> None:
    """Run blocks one after the other in one namespace: they print what they promise."""
    said = io.StringIO()
    promised = [line for code in codes for line in re.findall(r"print\(.*\)  # (.*)$", code, re.M)]
    with contextlib.redirect_stdout(said):
        for code in codes:
            exec(compile(code, "page", "exec"), names)
    printed = said.getvalue().splitlines()
    assert [line for line in printed if line in promised] == promised


@pytest.fixture(scope="module")
def model() -> Embedder:
    return Embedder()


@pytest.mark.filterwarnings("ignore::edge_embed.TruncationWarning")
def test_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (notes,) = blocks("start.md", 'text title="notes.txt"')
    Path("notes.txt").write_text(notes, encoding="utf-8")
    _, commands = blocks("start.md", "bash")
    outputs = []
    for line in commands.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "edge-embed"
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        outputs.append(result.stdout)
    assert Path("unique.txt").read_text(encoding="utf-8").count("\n") == 4
    (promise,) = re.findall(r"prints `(.*?)`", (DOCS / "start.md").read_text(encoding="utf-8"))
    score, _, text = outputs[-1].strip().partition("  ")
    assert text == promise.partition("  ")[2]
    assert abs(float(score) - float(promise.partition("  ")[0])) < 0.02  # between processors
    run(blocks("start.md", "python"), {"__name__": "__main__"})


def test_the_concepts() -> None:
    run(blocks("concepts.md", "python"), {"__name__": "__main__"})


@pytest.mark.parametrize("page", ["duplicates.md", "paraphrases.md", "search.md", "intents.md"])
def test_a_use(page: str, model: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    codes = blocks(f"uses/{page}", "python")
    here = [code for code in codes if not any(word in code for word in ELSEWHERE)]
    assert here or codes == [] or page == "paraphrases.md"
    names = {"model": model, "texts": ["Reset my password", "Opening hours"]}
    run(here, {"__name__": "__main__", **names})
