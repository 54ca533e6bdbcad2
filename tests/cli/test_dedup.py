"""``edge-embed dedup`` as a user runs it, on a tiny model."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_embed.cli import corpus_embedding, main
from edge_embed.errors import InputError, OutputError
from edge_embed.files.readers import read_rows
from edge_embed.files.resumable_vectors import ResumableVectors, VectorsKey
from edge_embed.tasks import TextKeys, keep_order, normal_form

# The tokenizer takes accents away and normal forms do not: the same vector, other texts.
ROWS: list[dict[str, Any]] = [
    {"id": 0, "text": "Where is the café on the corner?", "votes": 3},
    {"id": 1, "text": "where  is the CAFÉ on the corner?", "votes": 9},
    {"id": 2, "text": "Where is the cafe on the corner?", "votes": 1},
    {"id": 3, "text": "The committee met on the eleventh of March.", "votes": 2},
    {"id": 4, "text": "Shop window lights", "votes": 5},
    {"id": 5, "text": "Shop window lìghts", "votes": 5},
]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["dedup", *map(str, arguments)])


def kept(path: Path) -> list[int]:
    return [int(str(row.values["id"])) for row in read_rows(path)]


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("keep", "expected"),
    [("first", [0, 3, 4]), ("longest", [1, 3]), ("votes", [1, 3])],
)
def test_what_is_kept(
    tiny_model: Path, rows_file: Path, tmp_path: Path, keep: str, expected: list[int]
) -> None:
    output, report = tmp_path / "out.jsonl", tmp_path / "report.jsonl"
    options = ["-m", tiny_model, "-i", rows_file, "-t", 0.999, "--keep", keep]
    result = run(*options, "-o", output, "--report", report)
    assert result.exit_code == 0, result.output
    # 4 and 5 are equals but for their letters, which decide the same way whatever their order.
    assert [id_ for id_ in kept(output) if id_ not in (4, 5) or keep == "first"] == expected
    assert len({4, 5} & set(kept(output))) == 1
    assert result.stdout == ""
    assert "6 records: 3 kept, 1 exact and 2 semantic duplicates removed" in result.stderr
    assert not (tmp_path / "out.jsonl.work").exists()
    header, *lines = map(json.loads, report.read_text(encoding="utf-8").splitlines())
    removed = [line for line in lines if "row" in line]
    assert (header["kept"], len(removed)) == (3, 3)
    for line in removed:
        assert line["text"] == ROWS[line["row"]]["text"]
        assert line["partner_text"] == ROWS[line["partner"]]["text"]
        assert line["score"] >= 0.999
        assert line["partner"] in kept(output)
    # The rows the other way round: but for "first", the same ones stay.
    if keep != "first":
        rows_file.write_text("".join(json.dumps(row) + "\n" for row in ROWS[::-1]))
        assert run(*options, "-o", tmp_path / "turned.jsonl").exit_code == 0
        assert sorted(kept(tmp_path / "turned.jsonl")) == sorted(kept(output))


def test_against_a_reference(tiny_model: Path, rows_file: Path, tmp_path: Path) -> None:
    reference = tmp_path / "known.csv"
    with reference.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([["text"], ["unrelated, quite"], ["unrelated, quite"]])
        writer.writerows([["SHOP window lights"], ["Where is the cafe on the corner?"]])
    output, report = tmp_path / "out.csv", tmp_path / "report.jsonl"
    options = ["-m", tiny_model, "-i", rows_file, "--against", reference, "-t", 0.999]
    result = run(*options, "-o", output, "--report", report)
    assert result.exit_code == 0, result.output
    assert kept(output) == [3]
    lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    partners = {line["row"]: line for line in lines if "row" in line}
    assert {row: (line["partner"], line["kind"]) for row, line in partners.items()} == {
        0: (3, "semantic"),
        1: (3, "semantic"),
        2: (3, "exact"),
        4: (2, "exact"),
        5: (2, "semantic"),
    }
    assert all(line["reference"] for line in partners.values())
    assert partners[5]["partner_text"] == "SHOP window lights"


def test_rethreshold_equals_a_new_run(tiny_model: Path, corpus: list[str], tmp_path: Path) -> None:
    source, report = tmp_path / "texts.txt", tmp_path / "report.jsonl"
    source.write_text("\n".join([*corpus[:150], *corpus[:3]]) + "\n", encoding="utf-8")
    model = ["-m", tiny_model, "-i", source]
    assert run(*model, "-o", tmp_path / "a.txt", "-t", 0.9, "--report", report).exit_code == 0
    again = ["-i", source, "-t", 0.99, "--rethreshold", report]
    result = run(*again, "-o", tmp_path / "b.txt", "--report", tmp_path / "b.jsonl")
    assert result.exit_code == 0, result.output
    run(*model, "-o", tmp_path / "c.txt", "-t", 0.99, "--report", tmp_path / "c.jsonl")
    assert (tmp_path / "b.txt").read_text() == (tmp_path / "c.txt").read_text()
    assert (tmp_path / "b.jsonl").read_text() == (tmp_path / "c.jsonl").read_text()
    assert (tmp_path / "a.txt").read_text() != (tmp_path / "b.txt").read_text()

    def refused(*arguments: object) -> str:
        result = run(*arguments, "-o", tmp_path / "d.txt")
        assert isinstance(result.exception, InputError)
        return str(result.exception)

    assert "needs a new run" in refused("-i", source, "-t", 0.5, "--rethreshold", report)
    other = tmp_path / "other.txt"
    other.write_text("something else\n")
    assert "is not of" in refused("-i", other, "-t", 0.99, "--rethreshold", report)
    assert "another --against" in refused(*again, "--against", other)
    lines = report.read_text().splitlines(keepends=True)
    for cut in (lines[:-1], lines[1:], [*lines[:-1], lines[-1][:9]], ["[]\n"], []):
        report.write_text("".join(cut))
        assert "is not a whole report" in refused(*again)
    report.unlink()
    assert "no such file" in refused(*again)


def test_target_size(tiny_model: Path, corpus: list[str], tmp_path: Path) -> None:
    source, output = tmp_path / "texts.txt", tmp_path / "out.txt"
    source.write_text("\n".join(corpus[:60]) + "\n", encoding="utf-8")
    options = ["-m", tiny_model, "-i", source, "-o", output]
    result = run(*options, "--target-size", 50, "-t", 0.3)
    assert result.exit_code == 0, result.output
    assert len(output.read_text().splitlines()) == 50
    result = run(*options, "--target-size", 1, "-t", 0.99)
    assert isinstance(result.exception, InputError)
    assert "lower the threshold" in str(result.exception)


@pytest.mark.parametrize("ending", ["txt", "tsv", "parquet"])
def test_one_record_in_every_format(tiny_model: Path, tmp_path: Path, ending: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow (the extra 'parquet')")
    source, output = tmp_path / "one.txt", tmp_path / f"out.{ending}"
    source.write_text("the only one\n")
    assert run("-m", tiny_model, "-i", source, "-o", output).exit_code == 0
    assert [row.text for row in read_rows(output)] == ["the only one"]


def test_a_killed_run_goes_on(tiny_model: Path, tmp_path: Path) -> None:
    source = tmp_path / "texts.txt"
    source.write_text("".join(f"line number {i} of many\n" for i in range(6000)))
    arguments = ["dedup", "-m", str(tiny_model), "-i", str(source), "-t", "0.99"]
    killed = [*arguments, "-o", str(tmp_path / "killed.txt")]
    code = "import sys, edge_embed.cli.corpus_embedding as e; e._CHUNK = 64\n"
    code += "from edge_embed.cli import run; run(sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", code, *killed], stderr=subprocess.PIPE)
    manifest = tmp_path / "killed.txt.work" / "manifest.json"
    deadline = time.monotonic() + 120
    while not (manifest.exists() and json.loads(manifest.read_text())["done"] >= 128):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "killed.txt").exists()
    with (manifest.parent / "vectors.f16").open("ab") as file:
        file.write(b"half a chunk")  # as a kill in the middle of a write leaves it
    again = CliRunner().invoke(main, killed)
    assert again.exit_code == 0, again.output
    assert "going on from an earlier run" in again.stderr
    whole = CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "whole.txt")])
    assert whole.exit_code == 0, whole.output
    assert (tmp_path / "killed.txt").read_text() == (tmp_path / "whole.txt").read_text()
    assert not manifest.parent.exists()


def test_an_interrupt_says_what_stays(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "texts.txt"
    source.write_text("".join(f"line number {i} of many\n" for i in range(40)))
    options = ["-m", tiny_model, "-i", source, "-o", tmp_path / "out.txt", "-t", 0.99]
    monkeypatch.setattr(corpus_embedding, "_CHUNK", 16)
    append = ResumableVectors.append

    def interrupted(self: ResumableVectors, vectors: Any) -> None:
        append(self, vectors)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ResumableVectors, "append", interrupted)
        result = run(*options)
    assert isinstance(result.exception, corpus_embedding.StoppedError)
    assert "16 of 40 texts are embedded" in str(result.exception)
    assert run(*options).exit_code == 0


KEY = VectorsKey(model="m", texts="t", rows=4, dim=3)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    ResumableVectors(folder, KEY).append(np.ones((2, 3), np.float32))
    assert ResumableVectors(folder, KEY).done == 2
    for key, part in (
        (VectorsKey(model="x", texts="t", rows=4, dim=3), "another model"),
        (VectorsKey(model="m", texts="x", rows=4, dim=3), "other texts"),
    ):
        with pytest.raises(InputError, match=part):
            ResumableVectors(folder, key)
    (folder / "vectors.f16").write_bytes(b"")
    with pytest.raises(InputError, match="is damaged: delete it"):
        ResumableVectors(folder, KEY)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="is damaged: delete it"):
        ResumableVectors(folder, KEY)
    other = tmp_path / "photos"
    other.mkdir()
    (other / "a.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="not a work folder"):
        ResumableVectors(other, KEY)


def test_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        checkpoint = ResumableVectors(disk / "work", KEY)
        with pytest.raises(OutputError, match="the disk is full; free some space"):
            checkpoint.append(np.ones((100_000, 3), np.float32))
        assert ResumableVectors(disk / "work", KEY).done == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["-o", "out.txt"], "give the records with -i"),
        (["-i", "-", "-o", "out.txt"], "read more than once"),
        (["-i", "a.txt"], "--output"),
        (["-i", "a.txt", "-o", "b.txt", "-t", "1.5"], "1.5"),
        (["-i", "a.txt", "-o", "b.txt", "--rethreshold", "r.jsonl"], "stricter --threshold"),
    ],
)
def test_wrong_usage(arguments: list[str], part: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert part in result.stderr


def test_bad_input(rows_file: Path, tmp_path: Path) -> None:
    def refused(*arguments: object) -> str:
        result = run(*arguments)
        assert isinstance(result.exception, InputError), result.output
        return str(result.exception)

    empty = tmp_path / "empty.txt"
    empty.write_text("")
    output = tmp_path / "out.jsonl"
    assert "nothing to read" in refused("-i", empty, "-o", output)
    assert "no such file" in refused("-i", tmp_path / "none.txt", "-o", output)
    assert "ending should be" in refused("-i", rows_file, "-o", tmp_path / "out.xml")
    assert "should be a .jsonl" in refused("-i", rows_file, "-o", output, "--report", "r.txt")
    assert "no column 'stars'" in refused("-i", rows_file, "-o", output, "--keep", "stars")
    assert "not a number" in refused("-i", rows_file, "-o", output, "--keep", "text")
    assert list(tmp_path.iterdir()) == [rows_file, empty] or not output.exists()


def test_normal_form() -> None:
    assert normal_form("  Straße\u00a0 Ａ１ ") == normal_form("STRASSE a1")
    assert normal_form("café") != normal_form("cafe")
    keys, known = TextKeys(), TextKeys()
    for text in ("b", "A", "a ", "c"):
        keys.add(text)
    for text in ("x", "C"):
        known.add(text)
    groups, of_known = keys.match(known)
    assert groups.tolist() == [0, 1, 1, 3]
    assert of_known.tolist() == [-1, -1, -1, 1]
    assert keys.match(TextKeys())[1].tolist() == [-1] * 4


def test_keep_order() -> None:
    assert keep_order(3).tolist() == [0, 1, 2]
    assert keep_order(3, values=[1, 3, 2]).tolist() == [1, 2, 0]
    with pytest.raises(InputError, match="3 finite numbers"):
        keep_order(3, values=[1, float("nan"), 2])


def test_a_full_disk_leaves_no_result(
    tiny_model: Path, tmp_path: Path, small_disk: Callable[[str], Path]
) -> None:
    source = tmp_path / "texts.txt"
    source.write_text("".join(f"text number {number}\n" for number in range(4000)))
    disk = small_disk("64k")
    result = run("-m", tiny_model, "-i", source, "-o", disk / "out.txt")
    assert isinstance(result.exception, OutputError), result.output
    assert "the disk is full; free some space and run again" in str(result.exception)
    assert not (disk / "out.txt").exists()


@pytest.fixture
def many_texts(corpus: list[str], tmp_path: Path) -> Path:
    """Texts of any words, a third of them a second time with another mark at the end."""
    words = sorted({word for text in corpus for word in text.split()})
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(words, 12)) for _ in range(900)]
    path = tmp_path / "many.txt"
    path.write_text("\n".join([*texts, *(f"{text} !" for text in texts[::3])]) + "\n")
    return path


@pytest.fixture
def cascade(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a cascade measure as few records as a test has."""
    module = "edge_embed.tasks.deduplication.cascade"
    monkeypatch.setattr(f"{module}._LEAST_SAMPLE", 700)
    # A model of random weights has no weaker links that mean anything.
    monkeypatch.setattr(f"{module}._ENOUGH", 1)
    monkeypatch.setattr(f"{module}._LEAST_LINKS", 20)
    # Nor is there a limit to how many of its texts are alike.
    monkeypatch.setattr(f"{module}._MOST_CANDIDATES", 1.0)


@pytest.mark.usefixtures("cascade")
def test_a_cascade_removes_what_reading_everything_removes(
    tiny_model: Path, many_texts: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.jsonl"
    options = ["-m", tiny_model, "-i", many_texts, "-t", 0.997, "--cascade"]
    result = run(*options, "-o", tmp_path / "a.txt", "--report", report)
    assert result.exit_code == 0, result.output
    assert "texts have a neighbour at" in result.stderr
    assert not (tmp_path / "a.txt.work").exists()
    whole = run(*options, "-o", tmp_path / "b.txt", "--exhaustive")
    assert "neighbour" not in whole.stderr
    few, all_ = (set((tmp_path / name).read_text().splitlines()) for name in ("a.txt", "b.txt"))
    removed = len(many_texts.read_text().splitlines()) - len(all_)
    assert removed > 100
    assert len(few ^ all_) <= 0.01 * removed
    header = json.loads(report.read_text().splitlines()[0])
    assert header["cascade"]["candidates"] <= header["rows"]
    assert header["recall"] == header["cascade"]["recall"] >= 0.995
    # A stricter threshold, as of any report.
    again = ["-i", many_texts, "-t", 0.999, "--rethreshold", report, "-o", tmp_path / "c.txt"]
    assert run(*again, "--report", tmp_path / "c.jsonl").exit_code == 0
    assert json.loads((tmp_path / "c.jsonl").read_text().splitlines()[0])["cascade"]
    stricter = ["-m", tiny_model, "-i", many_texts, "-t", 0.999, "-o", tmp_path / "d.txt"]
    assert run(*stricter, "--exhaustive").exit_code == 0
    few, all_ = (set((tmp_path / name).read_text().splitlines()) for name in ("c.txt", "d.txt"))
    assert len(few ^ all_) <= 0.01 * removed


@pytest.mark.usefixtures("cascade")
def test_a_cascade_against_a_reference(tiny_model: Path, many_texts: Path, tmp_path: Path) -> None:
    lines = many_texts.read_text().splitlines(keepends=True)
    known, new = tmp_path / "known.txt", tmp_path / "new.txt"
    # The second copies of what is known are all among the new ones.
    known.write_text("".join(lines[:600]))
    new.write_text("".join(lines[600:]))
    options = ["-m", tiny_model, "-i", new, "--against", known, "-t", 0.997, "--cascade"]
    outputs = []
    for name, more in (("a", []), ("b", ["--exhaustive"])):
        files = ["-o", tmp_path / f"{name}.txt", "--report", tmp_path / f"{name}.jsonl"]
        result = run(*options, *files, *more)
        assert result.exit_code == 0, result.output
        assert ("neighbour at" in result.stderr) == (name == "a")
        told = map(json.loads, (tmp_path / f"{name}.jsonl").read_text().splitlines())
        outputs.append(
            {(row["row"], row["partner"], row["reference"]) for row in told if "row" in row}
        )
    assert any(reference for _, _, reference in outputs[1])
    assert len(outputs[0] ^ outputs[1]) <= 0.02 * len(outputs[1])


@pytest.mark.usefixtures("cascade")
def test_a_cascade_that_was_stopped_goes_on(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, many_texts: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(corpus_embedding, "_CHUNK", 100)
    options = ["-m", tiny_model, "-i", many_texts, "-t", 0.997, "--cascade"]
    assert run(*options, "-o", tmp_path / "whole.txt").exit_code == 0
    append = ResumableVectors.append
    for stop in (3, 9):  # within the sample, and after it

        def interrupted(self: ResumableVectors, vectors: Any, stop: int = stop) -> None:
            if self.done >= 100 * stop:
                raise KeyboardInterrupt
            append(self, vectors)

        with monkeypatch.context() as patch:
            patch.setattr(ResumableVectors, "append", interrupted)
            result = run(*options, "-o", tmp_path / "out.txt")
        assert result.exit_code == 1
        assert f"{100 * stop} of" in str(result.exception)
    result = run(*options, "-o", tmp_path / "out.txt", "--exhaustive")
    assert "is of a run with --cascade" in str(result.exception)
    result = run(*options, "-o", tmp_path / "out.txt")
    assert "going on from an earlier run: 900 of" in result.stderr
    assert (tmp_path / "out.txt").read_text() == (tmp_path / "whole.txt").read_text()
    assert not (tmp_path / "out.txt.work").exists()


@pytest.mark.usefixtures("cascade")
def test_a_cascade_that_would_leave_out_nothing_says_so(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, many_texts: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr("edge_embed.tasks.deduplication.cascade._MOST_CANDIDATES", 0.05)
    options = ["-m", tiny_model, "-i", many_texts, "-t", 0.997, "--cascade"]
    result = run(*options, "-o", tmp_path / "a.txt")
    assert "the model reads every text: " in result.stderr
    assert run(*options, "-o", tmp_path / "b.txt", "--exhaustive").exit_code == 0
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "b.txt").read_text()
    static = run(*options, "-o", tmp_path / "c.txt", "--variant", "static")
    assert static.exit_code == 0, static.output
    assert "neighbour at" not in static.stderr
    assert "static vectors alone" in static.stderr


@pytest.mark.parametrize("count", [1, 2, 30])
def test_a_cascade_of_few_records_reads_them_all(
    tiny_model: Path, many_texts: Path, tmp_path: Path, count: int
) -> None:
    few = tmp_path / "few.txt"
    few.write_text("".join(many_texts.read_text().splitlines(keepends=True)[:count]))
    options = ["-m", tiny_model, "-i", few, "-t", 0.997]
    result = run(*options, "-o", tmp_path / "a.txt", "--cascade")
    assert result.exit_code == 0, result.output
    assert "the model reads every text: " in result.stderr
    assert run(*options, "-o", tmp_path / "b.txt").exit_code == 0
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "b.txt").read_text()
