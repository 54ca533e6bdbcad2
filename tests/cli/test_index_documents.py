"""Long texts and folders of documents in an index, as a user adds them, on tiny models."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge_embed.errors import InputError
from edge_embed.tasks import Index
from tests.cli.test_index import refused, run
from tests.support.tiny_sources import TINY_LIMIT

LONG = " ".join(f"Part {number} of the manual says what to do." for number in range(60))
END = "The last sentence names the zebra."


@pytest.fixture
def index(tiny_model: Path, tmp_path: Path) -> Path:
    path = tmp_path / "a.index"
    assert run("index", "create", path, "-m", tiny_model).exit_code == 0
    return path


def hits(index: Path, query: str, *options: object) -> list[dict[str, Any]]:
    result = run("search", index, query, "--json", *options)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)[0]["hits"]
    return found


def test_a_long_text_is_found_by_its_end(index: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    lines = [{"key": "m", "text": f"{LONG} {END}", "page": 3}, {"key": "s", "text": "Short."}]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    add = ("index", "add", index, "-i", rows, "--column", "text", "--id-column", "key")
    result = run(*add)
    assert result.exit_code == 0, result.output
    assert f"1 of 2 texts are longer than {TINY_LIMIT} tokens and were split into" in result.stderr
    best = hits(index, "zebra")[0]
    assert best["text"].endswith(END)
    assert (best["document"], best["metadata"]["page"]) == ("m", 3)
    assert best["id"] == f"m#passage-{best['passage']}"
    assert f"[m {best['passage']}] " in run("search", index, "zebra", "-k", 1).stdout
    with Index(index) as store:
        before = len(store)
    again = run(*add)
    assert "2 of them in the place of others" in again.stderr
    with Index(index) as store:
        assert len(store) == before > 3
    with pytest.warns(UserWarning, match="1 of 2 texts are longer"):
        assert run(*add, "--no-split").exit_code == 0
    with Index(index) as store:
        assert len(store) == 2
    assert "deleted 1 of 1" in run("index", "delete", index, "--where", "page=3").stderr
    assert run("index", "delete", index).exit_code == 2
    assert run("index", "delete", index, "s", "--where", "page=3").exit_code == 2


def test_a_folder_and_what_changed_in_it(index: Path, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.md").write_text(f"# Manual\n\n{LONG} {END}")
    (folder / "deep" / "b.html").write_text("<title>Hours</title><p>We open at nine.")
    (folder / "c.txt").write_text("To be removed.")
    (folder / "d.txt").write_bytes(b"caf\xe9")
    assert run("index", "add", index, "-i", "-", stdin="Of no file\n").exit_code == 0
    add = ("index", "add-folder", index, folder)
    with pytest.warns(UserWarning, match=r"d\.txt, line 1: not UTF-8"):
        result = run(*add)
    assert result.exit_code == 0, result.output
    assert "3 files added, 0 changed, 0 removed, 0 as before" in result.stderr
    assert "1 of 3 files are longer than" in result.stderr
    best = hits(index, "zebra")[0]
    assert best["document"] == f"{folder}/a.md"
    facts = best["metadata"]
    assert (facts["folder"], facts["file"]) == (str(folder), "a.md")
    [page] = hits(index, "hours", "--where", "file=deep/b.html")
    assert page["text"] == "Hours\n\nWe open at nine."

    (folder / "d.txt").write_text("Coffee.")
    assert "1 files added, 0 changed, 0 removed, 3 as before" in run(*add).stderr
    (folder / "a.md").write_text("Short now.")
    (folder / "c.txt").unlink()
    (folder / "d.txt").write_text(" ")
    with pytest.warns(UserWarning, match=r"d\.txt has no text"):
        result = run(*add)
    assert "0 files added, 1 changed, 2 removed, 1 as before" in result.stderr
    texts = {hit["text"] for hit in hits(index, "x")}
    assert texts == {"Of no file", "Short now.", "Hours\n\nWe open at nine."}

    named = run("index", "add-folder", index, folder / "deep", "--name", "help")
    assert "1 files added" in named.stderr
    assert hits(index, "hours", "--where", "folder=help")[0]["id"] == "help/b.html"


def test_a_folder_that_is_empty_takes_nothing_away(index: Path, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    refused(run("index", "add-folder", index, folder), InputError, "has no .txt, .md or .html")
    (folder / "a.txt").write_text("Opening hours")
    assert run("index", "add-folder", index, folder, "--name", "d").exit_code == 0
    (folder / "a.txt").unlink()
    add = ("index", "add-folder", index, folder, "--name", "d")
    refused(run(*add), InputError, "the index knows 1 of it", "index delete INDEX --where folder=d")
    assert hits(index, "hours")[0]["text"] == "Opening hours"
    assert "deleted 1 of 1" in run("index", "delete", index, "--where", "folder=d").stderr
    refused(run("index", "add-folder", index, tmp_path / "none"), InputError, "is no folder")
