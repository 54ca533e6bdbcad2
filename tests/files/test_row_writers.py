"""Rows in, rows out: every column survives, in every format."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_embed.errors import InputError, OutputError
from edge_embed.files.readers import read_rows
from edge_embed.files.row_writers import open_row_writer

files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
# No line breaks and tabs, which .tsv cannot hold; no byte order mark, which readers drop.
FIELD = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\t\0\ufeff"), min_size=1
).filter(str.strip)
ROWS = st.lists(st.fixed_dictionaries({"id": FIELD, "text": FIELD}), min_size=1, max_size=5)


def write(path: Path, rows: list[dict[str, str]], like: Path | None = None) -> None:
    with open_row_writer(path, like=like) as writer:
        for row in rows:
            writer.write(row)


@files
@given(rows=ROWS, ending=st.sampled_from([".jsonl", ".csv", ".tsv"]))
def test_round_trip(tmp_path: Path, rows: list[dict[str, str]], ending: str) -> None:
    path = tmp_path / f"rows{ending}"
    write(path, rows)
    read = list(read_rows(path))
    assert [dict(row.values) for row in read] == rows
    assert [row.text for row in read] == [row["text"] for row in rows]


def test_txt(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    write(path, [{"text": "one"}, {"text": "two"}])
    assert [row.values for row in read_rows(path)] == [{"text": "one"}, {"text": "two"}]
    with pytest.raises(InputError, match="would lose columns"):
        write(path, [{"id": "1", "text": "one"}])
    assert path.read_text() == "one\ntwo\n"  # the earlier file is untouched


def test_json_keeps_types_and_order(tmp_path: Path) -> None:
    source, target = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    lines = ['{"n": 1.5, "text": "ü", "tags": ["a", {"b": null}], "ok": true}', '{"text": "x"}']
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with open_row_writer(target) as writer:
        for row in read_rows(source):
            writer.write(row.values)
    assert target.read_text(encoding="utf-8").splitlines() == lines
    with pytest.raises(InputError, match="different columns"):
        write(tmp_path / "c.csv", [{"text": "a", "n": "1"}, {"text": "b"}])


def test_parquet_keeps_types(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow (the extra 'parquet')")
    from pyarrow import parquet

    table = pyarrow.table(
        {
            "text": ["one", "two"],
            "n": pyarrow.array([1, None], pyarrow.int16()),
            "when": pyarrow.array([0, 1], pyarrow.timestamp("ms")),
        }
    )
    source, target = tmp_path / "a.parquet", tmp_path / "b.parquet"
    parquet.write_table(table, source)
    with open_row_writer(target, like=source) as writer:
        for row in read_rows(source):
            writer.write(row.values)
    assert parquet.read_table(target).equals(table)


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("a.csv", "text,text\na,b\n", "two columns 'text'"),
        ("a.csv", "id,text\n1,a,surplus\n", "3 fields, the header has 2"),
        ("a.jsonl", '{"text": 1}\n', "not a string"),
        ("a.txt", "one\n\n", "line 2: the text is empty"),
        ("a.txt", "", "is empty"),
    ],
)
def test_bad_input(tmp_path: Path, name: str, content: str, parts: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=parts):
        list(read_rows(path))


def test_bad_output(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ending should be one of"):
        write(tmp_path / "rows.xml", [{"text": "a"}])
    with pytest.raises(OutputError, match="does not exist"):
        write(tmp_path / "none" / "rows.csv", [{"text": "a"}])
    with pytest.raises(InputError, match="a tab or a line break"):
        write(tmp_path / "rows.tsv", [{"text": "a\tb"}])


def test_nested_values_are_json_in_tables(tmp_path: Path) -> None:
    with open_row_writer(tmp_path / "a.csv") as writer:
        writer.write({"text": "a", "tags": ["x"], "none": None, "n": 2})
    (row,) = read_rows(tmp_path / "a.csv")
    assert json.loads(str(row.values["tags"])) == ["x"]
    assert (row.values["none"], row.values["n"]) == ("", "2")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, float("-inf")]])
def test_numbers_that_json_has_not_are_null(tmp_path: Path, value: object) -> None:
    """Parquet has them; our own reader refuses a line with NaN."""
    path = tmp_path / "a.jsonl"
    with open_row_writer(path) as writer:
        writer.write({"text": "a", "x": value, "day": None})
    (row,) = read_rows(path)
    assert row.values["x"] == ([1.0, None] if isinstance(value, list) else None)
