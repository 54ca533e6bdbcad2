"""``edge-embed index`` and ``edge-embed search`` as a user runs them, on tiny models."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge_embed.cli import main
from edge_embed.encoding import TruncationWarning
from edge_embed.errors import EdgeEmbedError, InputError, OutputError
from edge_embed.tasks import Index
from edge_embed.tasks.index import index as index_module


def run(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)), input=stdin)


def refused(result: Result, error: type[EdgeEmbedError], *parts: str) -> None:
    assert isinstance(result.exception, error), result.output
    for part in parts:
        assert part in str(result.exception)
    assert result.stdout == ""


@pytest.fixture
def index(tiny_model: Path, tmp_path: Path) -> Path:
    rows = tmp_path / "rows.jsonl"
    texts = ["Reset my password", "Opening hours", "Where is my order E77?"]
    lines = [{"key": f"k{i}", "text": text, "page": i} for i, text in enumerate(texts)]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = tmp_path / "a.index"
    result = run("index", "create", path, "-m", tiny_model)
    assert result.exit_code == 0, result.output
    result = run("index", "add", path, "-i", rows, "--column", "text", "--id-column", "key")
    assert result.exit_code == 0, result.output
    assert "holds 3 texts" in result.stderr
    return path


def test_a_day_of_an_index(index: Path) -> None:
    result = run("search", index, "opening hours", "-k", 1)  # -m is the index's own model
    assert result.exit_code == 0, result.output
    assert result.stdout.split(maxsplit=1)[1] == "Opening hours\n"
    found = json.loads(run("search", index, "e77", "reset", "--json").stdout)
    assert [entry["query"] for entry in found] == ["e77", "reset"]
    assert found[0]["hits"][0] | {"score": 0, "fused": 0} == {
        "id": "k2",
        "score": 0,
        "fused": 0,
        "text": "Where is my order E77?",
        "metadata": {"page": 2},
    }
    result = run("search", index, "hours", "--where", "page=0")
    assert result.stdout.endswith("Reset my password\n")
    assert result.stdout.count("\n") == 1
    assert "deleted 1 of 2" in run("index", "delete", index, "k1", "none").stderr
    assert run("index", "add", index, "-i", "-", stdin="Opening times\n").exit_code == 0
    assert "# hours\n" in run("search", index, "hours", "order").stdout
    facts = json.loads(run("index", "info", index, "--json").stdout)
    assert (facts["entries"], facts["dim"], facts["dtype"]) == (3, 32, "float32")
    assert "entries          3" in run("index", "info", index).stdout


def test_a_large_index_without_usearch_is_filled_and_searched(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "_EXACT", 2)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.warns(UserWarning, match=r"edge-embed\[index\]'; searches compare every text"):
        result = run("index", "add", index, "-i", "-", stdin="Opening times\n")
    assert result.exit_code == 0, result.output
    for held in (100, 1):  # the vectors in memory, and read from the file
        monkeypatch.setattr(index_module, "_HELD", held)
        with pytest.warns(UserWarning, match="every entry is compared instead"):
            result = run("search", index, "opening hours", "-k", 1, "--dense")
        assert result.stdout.split(maxsplit=1)[1] == "Opening hours\n"


def test_words_count_unless_they_are_not_to(index: Path) -> None:
    """Hybrid is the default; --hybrid asks for it by name, --dense for meaning alone."""

    def hits(*options: str) -> list[dict[str, Any]]:
        answer = run("search", index, "e77", "--json", *options)
        assert answer.exit_code == 0, answer.output
        found: list[dict[str, Any]] = json.loads(answer.stdout)[0]["hits"]
        return found

    by_default, dense = hits(), hits("--dense")
    assert by_default == hits("--hybrid")
    assert by_default[0]["id"] == "k2"
    assert all("fused" in hit for hit in by_default)
    scores = [hit["score"] for hit in dense]
    assert scores == sorted(scores, reverse=True)
    assert not any("fused" in hit for hit in dense)


def test_reembed(index: Path, tiny_model: Path) -> None:
    assert run("index", "reembed", index).exit_code == 2
    other = ("-m", tiny_model, "--variant", "fp32")
    result = run("index", "reembed", index, *other)
    assert result.exit_code == 0, result.output
    assert "holds 3 texts, now of" in result.stderr
    found = json.loads(run("search", index, "opening hours", "-k", 1, "--json", *other).stdout)
    assert found[0]["hits"][0]["metadata"] == {"page": 1}
    refused(run("search", index, "hours"), InputError, "was made with the model")


def test_another_model_is_refused(index: Path, tiny_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_model, copy)
    (copy / "edge_embed.json").unlink()
    assert run("search", index, "x", "-m", copy).exit_code == 0  # the same files elsewhere
    refused(
        run("search", index, "x", "-m", tiny_model, "--variant", "fp32"),
        InputError,
        "was made with the model",
        "create a new index",
    )
    refused(run("index", "create", index, "-m", tiny_model), OutputError, "already exists")


def test_numbers_of_tables_are_found_as_they_are_written(index: Path, tmp_path: Path) -> None:
    rows = tmp_path / "prices.csv"
    rows.write_text("text,price\nA cup,1.50\nA plate,2e1\nA pan,3\n")
    assert run("index", "add", index, "-i", rows, "--column", "text").exit_code == 0
    for price, text in {"1.50": "A cup", "2e1": "A plate", "3": "A pan", "3.0": "A pan"}.items():
        found = run("search", index, "x", "--where", f"price={price}").stdout
        assert found.split(maxsplit=1)[1:] == [f"{text}\n"]


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_long_texts_are_counted_alike_in_any_chunk(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("edge_embed.cli.index_add._CHUNK", chunk)
    texts = tmp_path / "long.txt"
    texts.write_text("".join(f"{'word ' * 300 if n % 3 == 1 else n}\n" for n in range(9)))
    result = run("index", "add", index, "-i", texts)
    assert (
        "3 of 9 texts are longer than 128 tokens and were split into 18 passages" in result.stderr
    )
    with pytest.warns(TruncationWarning, match="3 of 9 texts"):
        run("index", "add", index, "-i", texts, "--no-split")


def test_bad_input(index: Path, tmp_path: Path) -> None:
    refused(run("search", tmp_path / "none", "x"), InputError, "no index", "index create")
    refused(run("search", index, " "), InputError, "text 1 is empty")
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    refused(run("index", "add", index, "-i", empty), InputError, "nothing to read")
    rows = tmp_path / "rows.csv"
    rows.write_text("text,key\na,\n")
    refused(run("index", "add", index, "-i", rows, "--id-column", "key"), InputError, "no id")
    assert run("search", index, "x", "--where", "page").exit_code == 2
    for part in ("page>=3", "page!=3", "page<=3", "=3"):
        result = run("search", index, "x", "--where", part)
        assert (result.exit_code, "there are no ranges" in result.stderr) == (2, True)
    result = run("index", "delete", index, "--where", "page=0", "--where", "page=1")
    assert (result.exit_code, "'page' twice" in result.stderr) == (2, True)
    assert run("index", "add", index).exit_code == 2
    with Index(index) as store:
        assert len(store) == 3


def test_a_full_disk_loses_nothing(
    tiny_model: Path, tmp_path: Path, small_disk: Callable[[str], Path]
) -> None:
    path = small_disk("256k") / "a.index"
    assert run("index", "create", path, "-m", tiny_model).exit_code == 0
    assert run("index", "add", path, "-i", "-", stdin="Opening hours\n").exit_code == 0
    many = "".join(f"text number {number} of many\n" for number in range(5000))
    refused(run("index", "add", path, "-i", "-", stdin=many), OutputError, "the disk is full")
    assert "Opening hours" in run("search", path, "hours", "-k", 1).stdout
