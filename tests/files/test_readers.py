"""Readers: whatever a file can hold comes back, whatever it should not is named."""

import csv
import gzip
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_embed.errors import InputError
from edge_embed.files.readers import read_records, read_texts

# Any text that is not blank; a line format cannot hold line breaks.
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
LINE = ANY_TEXT.filter(lambda text: not set(text) & set("\r\n"))
files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


# What begins with a byte order mark, or with bytes that are 0, is not plain UTF-8.
OPENING = LINE.filter(lambda text: text[0] != "\ufeff" and "\0" not in text[:4])


@files
@given(texts=st.lists(OPENING, min_size=1))
def test_txt_round_trip(tmp_path: Path, texts: list[str]) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes("\n".join(texts).encode())
    assert list(read_texts(path)) == texts


@files
@given(texts=st.lists(ANY_TEXT, min_size=1))
def test_jsonl_round_trip(tmp_path: Path, texts: list[str]) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text(
        "".join(json.dumps({"id": i, "q": t}) + "\n" for i, t in enumerate(texts)), encoding="utf-8"
    )
    assert list(read_texts(path, column="q")) == texts


@files
@given(texts=st.lists(ANY_TEXT.filter(lambda text: "\0" not in text), min_size=1))
def test_csv_round_trip(tmp_path: Path, texts: list[str]) -> None:
    path = tmp_path / "texts.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["id", "text"])
        writer.writerows(enumerate(texts))
    assert list(read_texts(path)) == texts


def test_tsv_does_not_treat_quotes_as_syntax(tmp_path: Path) -> None:
    path = tmp_path / "texts.tsv"
    path.write_text('score\tsentence\n1\the said "so\n2\tand "that\'s it"\n', encoding="utf-8")
    assert list(read_texts(path, column="sentence")) == ['he said "so', 'and "that\'s it"']


def test_parquet_round_trip(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow (the extra 'parquet')")
    parquet = pytest.importorskip("pyarrow.parquet")
    texts = [f"text {i}" for i in range(20_000)]
    path = tmp_path / "texts.parquet"
    parquet.write_table(pyarrow.table({"n": range(20_000), "title": texts}), path)
    assert list(read_texts(path, column="title")) == texts


def test_windows_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert list(read_texts(path)) == ["one", "two"]


def test_a_megabyte_in_one_field(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("text\n" + "x" * 1_000_000 + "\n", encoding="utf-8")
    assert [len(text) for text in read_texts(path)] == [1_000_000]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(b"one\ntwo\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert list(read_texts("-")) == ["one", "two"]


def test_empty_texts_are_read_when_allowed(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("one\n\ntwo\n", encoding="utf-8")
    assert list(read_texts(path, allow_empty=True)) == ["one", "", "two"]


@pytest.mark.parametrize(
    ("name", "content", "column", "message"),
    [
        ("a.txt", b"", None, "is empty"),
        ("a.csv", b"", None, "is empty"),
        ("a.csv", b"text\n", None, "is empty"),
        ("a.txt", b"one\n\nthree\n", None, "line 2: the text is empty"),
        ("a.txt", b"one\ncaf\xe9\n", None, "line 2: not UTF-8 (byte 0xe9)"),
        ("a.txt", b"one\n", "text", "leave out --column"),
        ("a.csv", b"a,b\n1,2\n", None, "name one with --column"),
        ("a.csv", b"a,b\n1,2\n", "c", "no column 'c'; it has: a, b"),
        ("a.csv", b'text\n"open\n', None, "line 2"),
        ("a.tsv", b"a\ttext\nonly one\n", None, "line 2: 1 fields, the header has 2"),
        ("a.jsonl", b'{"text": "x"}\n{"text"\n', None, "line 2: not JSON"),
        ("a.jsonl", b'{"text": 5}\n', None, "not a string"),
        ("a.jsonl", b'{"text": "x"}\n{"other": "x"}\n', None, "line 2 has no column 'text'"),
        ("a.doc", b"x", None, "cannot tell the format"),
        ("a.parquet", b"not parquet", None, "not a readable Parquet file"),
    ],
)
def test_bad_files_are_named(
    tmp_path: Path, name: str, content: bytes, column: str | None, message: str
) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow", reason="needs pyarrow (the extra 'parquet')")
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read_texts(path, column=column))
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


COLUMNS = {"id": ["_id", "id"], "title": ["title"], "text": ["text"]}


def test_records_take_aliases_optional_columns_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text(
        '{"_id": 4, "text": "four"}\n{"id": "5", "title": "Five", "text": ""}\n', encoding="utf-8"
    )
    records = list(read_records(path, COLUMNS, optional=["title"]))
    assert [record.place for record in records] == ["line 1", "line 2"]
    assert [dict(record.values) for record in records] == [
        {"id": "4", "title": "", "text": "four"},
        {"id": "5", "title": "Five", "text": ""},
    ]


@pytest.mark.parametrize("ending", [".tsv", ".tsv.gz"])
def test_records_of_tables(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"corpus{ending}"
    content = b'text\textra\tid\nhe said "so\tx\ta1\n'
    path.write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)
    (record,) = read_records(path, COLUMNS, optional=["title"])
    assert dict(record.values) == {"id": "a1", "title": "", "text": 'he said "so'}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"one\n", "has no columns"),
        ("a.tsv", b"id\ttext\n", "is empty"),
        ("a.tsv", b"id\tbody\n1\t2\n", "no column 'text'; it has: id, body"),
        ("a.jsonl", b'{"id": 1, "text": "x"}\n{"id": 2}\n', "line 2 has no column 'text'"),
        ("a.jsonl", b'["x"]\n', "line 1: not an object"),
        ("a.jsonl", b'{"id": [1], "text": "x"}\n', "neither text nor a number"),
        ("a.tsv.gz", b"id\ttext\n", "not a whole gzip file"),
        ("a.tsv.gz", gzip.compress(b"id\ttext\n" * 99, mtime=0)[:-20], "not a whole gzip file"),
    ],
)
def test_bad_records_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read_records(path, COLUMNS, optional=["title"]))
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file: .*nowhere\.txt"):
        list(read_texts(tmp_path / "nowhere.txt"))


def test_reading_is_lazy(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(b"good\n" + b"\xff\n")
    reader = read_texts(path)
    assert next(reader) == "good"
    with pytest.raises(InputError):
        next(reader)
