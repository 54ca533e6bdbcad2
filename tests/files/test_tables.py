"""Tables as programs write them, and the values of other columns, come back or are named."""

import codecs
import gzip
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_embed.errors import InputError
from edge_embed.files.arrow_values import ArrowValue
from edge_embed.files.json_values import MAX_DEPTH, json_value
from edge_embed.files.readers import read_records, read_rows, read_texts
from edge_embed.files.row_writers import open_row_check, open_row_writer


def rows(path: Path, **options: Any) -> list[dict[str, object]]:
    return [dict(row.values) for row in read_rows(path, **options)]


WANTED = [{"id": "1", "text": "late, again"}, {"id": "2", "text": "open"}]


@pytest.mark.parametrize(
    "content",
    [
        'id,text\n1,"late, again"\n2,open\n',
        "id;text\n1;late, again\n2;open\n",
        "id|text\n1|late, again\n2|open\n",
        "id\ttext\n1\tlate, again\n2\topen\n",
        'sep=;\nid;text\n1;"late, again"\n2;open\n',
        'sep=,\r\nid,text\r\n1,"late, again"\r\n2,open\r\n',
        '"sep=\t"\nid\ttext\n1\tlate, again\n2\topen\n',
    ],
)
def test_the_separator_of_a_table(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode())
    assert rows(path) == WANTED


def test_one_column_with_semicolons_in_its_texts_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text\nlate; again\nopen\n")
    assert list(read_texts(path)) == ["late; again", "open"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id;text\n1;late; again\n2;open\n", "seem to be separated by a semicolon"),
        ("a,b;c\n1,2;3\n", "may be separated by a comma and a semicolon"),
        ("sep=;\nid;text\n1;late; again\n", "line 3: 3 fields, the header has 2"),
        ("id,text\n1,a\n2,b,c\n", "line 3: 3 fields"),
        ("id,text\n1,a\n2\n", "line 3: 1 fields"),
        ('id,text\n1,"open\n', "line 2"),
        ("text,text\na,b\n", "two columns 'text'"),
    ],
)
def test_tables_that_are_no_such(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        rows(path, column="text")
    with pytest.raises(InputError, match=message):
        list(read_texts(path, column="text"))
    with pytest.raises(InputError, match=message):
        list(read_records(path, {"text": ["text"]}))


def test_a_row_far_down_that_is_wider(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id;text\n" + "1;a\n" * 500 + "1;a;b\n")
    with pytest.raises(InputError, match="line 502: 3 fields"):
        rows(path)


FORMATS = {
    ".txt": "café\nstraße\n",
    ".csv": "text\ncafé\nstraße\n",
    ".tsv": "text\ncafé\nstraße\n",
    ".jsonl": '{"text": "café"}\n{"text": "straße"}\n',
}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-be"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_byte_order_marks(tmp_path: Path, ending: str, encoding: str, *, packed: bool) -> None:
    marks = {"utf-16-be": codecs.BOM_UTF16_BE, "utf-32-be": codecs.BOM_UTF32_BE}
    content = marks.get(encoding, b"") + FORMATS[ending].encode(encoding)
    path = tmp_path / f"a{ending}{'.gz' * packed}"
    path.write_bytes(gzip.compress(content) if packed else content)
    assert list(read_texts(path)) == ["café", "straße"]


def test_byte_order_mark_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.BufferedReader(io.BytesIO("one\ntwo\n".encode("utf-16")))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stdin))
    assert list(read_texts("-")) == ["one", "two"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text\nabc\n".encode("utf-16-le"), "UTF-16 without its byte order mark"),
        ("text\ncafé\n".encode("latin-1"), r"line 2: not UTF-8 \(byte 0xe9\).*WINDOWS-1252"),
        ("text\nabc\n".encode("utf-16")[:-1], "not UTF-16"),
    ],
)
def test_other_encodings_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(read_texts(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "text,a\rx,1\ry,2\r",
            "line 1: a carriage return outside quotes: end lines with a line feed",
        ),
        ('text,a\n"x,1\ny,2\n', "the file ends within quotes: close the quotation mark"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode())
    with pytest.raises(InputError, match=message):
        list(read_texts(path))


def test_the_text_column_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("grade,text\nA,A\nB,B\n")
    read = list(read_rows(path, column="text"))
    assert [(row.column, row.text) for row in read] == [("text", "A"), ("text", "B")]
    assert [row.values["grade"] for row in read] == ["A", "B"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (r'{"text": "ok", "note": "cut \ud83d"}', "half a surrogate pair .U.D83D"),
        (r'{"text": "ok", "m": {"a": ["\udc00"]}}', "half a surrogate pair"),
        (r'{"text": "ok", "\ud83d": 1}', "half a surrogate pair"),
        ('{"text": "ok", "n": NaN}', "NaN is no JSON"),
        ('{"text": "ok", "n": -Infinity}', "-Infinity is no JSON"),
        ('{"text": "ok", "n": 1e400}', "1e400 is beyond the largest float"),
        ('{"text": "ok", "m": [-1e999]}', "-1e999 is beyond the largest float"),
        ('{"text": "ok", "text": "other"}', "'text' stands twice"),
        ('{"text": "ok", "m": {"a": 1, "a": 2}}', "'a' stands twice"),
        ('{"text": "ok", "m": ' + "[" * 200_000 + "]" * 200_000 + "}", "nested more than 100"),
        ('{"text": "ok", "m": ' + "[" * 900 + "]" * 900 + "}", "nested more than 100"),
        ('{"text": "ok", "n": 1' + "0" * 5000 + "}", "a number of 5001 digits"),
    ],
)
def test_json_that_could_not_be_written_again(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "first"}\n' + line + "\n")
    with pytest.raises(InputError, match=rf"a\.jsonl, line 2: .*{message}"):
        rows(path)


def test_json_that_is_deep_or_escaped_but_sound(tmp_path: Path) -> None:
    values = [
        {"text": "[" * 500, "m": r"\ud83d"},
        {"text": "😀", "m": json.loads("[" * 90 + "]" * 90)},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    assert rows(path) == values
    assert MAX_DEPTH == 100


@pytest.fixture
def pyarrow() -> Any:
    return pytest.importorskip("pyarrow", reason="needs pyarrow (the extra 'parquet')")


def odd_columns(pyarrow: Any) -> dict[str, Any]:
    nanoseconds = 1_700_000_000_123_456_789
    return {
        "at": pyarrow.array([nanoseconds, None], pyarrow.timestamp("ns")),
        "zoned": pyarrow.array([nanoseconds] * 2, pyarrow.timestamp("ns", tz="UTC")),
        "time": pyarrow.array([1_123_456_789] * 2, pyarrow.time64("ns")),
        "took": pyarrow.array([1_123_456_789] * 2, pyarrow.duration("ns")),
        "until": pyarrow.array([5_000_000] * 2, pyarrow.date32()),
        "day": pyarrow.array([1] * 2, pyarrow.date32()),
        "raw": pyarrow.array([b"\xff\x00", None]),
        "small": pyarrow.array([1, None], pyarrow.int8()),
        "tags": pyarrow.array([["a"], None]),
        "nested": pyarrow.array([{"x": 1, "y": b"z"}, None]),
        "price": pyarrow.array([None, 1], pyarrow.decimal128(5, 2)),
    }


def test_parquet_values_that_python_has_no_object_for(tmp_path: Path, pyarrow: Any) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"text": ["one", "two"]} | odd_columns(pyarrow))
    source, target = tmp_path / "a.parquet", tmp_path / "b.parquet"
    parquet.write_table(table, source)
    with open_row_check(target, like=source) as check, open_row_writer(target, like=source) as out:
        for row in read_rows(source):
            check.write(row.values)
            out.write(row.values)
    assert parquet.read_table(target).equals(table)
    first = rows(source)[0]
    assert isinstance(first["at"], ArrowValue)
    plain = {name: json_value(value) for name, value in first.items()}
    assert plain["at"] == "2023-11-14 22:13:20.123456789"
    assert plain["time"] == "00:00:01.123456789"
    assert plain["until"] == "15659-07-15"
    assert plain["day"] == "1970-01-02"
    assert plain["raw"] == "/wA="
    assert plain["nested"] == {"x": 1, "y": "eg=="}
    for name in ("c.jsonl", "c.csv"):
        with open_row_writer(tmp_path / name) as out:
            out.write(first)
        assert rows(tmp_path / name)[0]["at"] == plain["at"]
        assert rows(tmp_path / name)[0]["raw"] == plain["raw"]


def test_parquet_keeps_the_types_of_columns_beside_new_ones(tmp_path: Path, pyarrow: Any) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"text": ["one", "two"]} | odd_columns(pyarrow))
    source, target = tmp_path / "a.parquet", tmp_path / "b.parquet"
    parquet.write_table(table, source)
    with open_row_writer(target, like=source) as out:
        for number, row in enumerate(read_rows(source)):
            out.write({**row.values, "cluster": number})
    read = parquet.read_table(target)
    assert read.drop_columns(["cluster"]).equals(table)
    assert read["cluster"].to_pylist() == [0, 1]


def test_parquet_strings_that_are_not_utf8_are_named(tmp_path: Path, pyarrow: Any) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    latin = pyarrow.Array.from_buffers(
        pyarrow.string(), 2, pyarrow.array([b"fine", b"caf\xe9"]).buffers()
    )
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": ["one", "two"], "note": latin}), path)
    with pytest.raises(InputError, match="row 1: the column 'note'"):
        rows(path)
    assert list(read_texts(path)) == ["one", "two"]  # the other column is not read


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("a.txt", [{"text": "x", "id": "1"}], "would lose columns"),
        ("a.tsv", [{"text": "a\tb"}], "a tab or a line break"),
        ("a.csv", [{"text": "x"}, {"text": "y", "id": "1"}], "different columns"),
        ("a.parquet", [{"text": "x", "n": 1}, {"text": "y", "n": "two"}], "mixes types"),
        ("a.parquet", [{"text": "x", "n": 2**70}], "mixes types"),
    ],
)
def test_rows_are_tried_before_any_work(
    tmp_path: Path, pyarrow: Any, name: str, values: list[dict[str, object]], message: str
) -> None:
    path = tmp_path / name

    def check_all() -> None:
        with open_row_check(path) as check:
            for value in values:
                check.write(value)

    with pytest.raises(InputError, match=message):
        check_all()
    assert not path.exists()
