"""Deduplication over Ray, held against that of one machine; a local Ray of two processors."""

import json
import os
import random
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_embed import Embedder
from edge_embed.cli import main
from edge_embed.errors import (
    ClusterError,
    EdgeEmbedError,
    InputError,
    MissingExtraError,
    ModelNotFoundError,
    OutputError,
)
from edge_embed.files.readers import read_rows
from edge_embed.tasks import deduplicate
from edge_embed.tasks.deduplication import semantic as duplicates
from edge_embed.tasks.deduplication.report import DedupReport
from edge_embed.tasks.deduplication.semantic import from_links
from tests.support.ray_warnings import RAY_WARNINGS

ray = pytest.importorskip("ray", reason="needs ray (the extra 'ray')")
pytest.importorskip("ray.data", reason="needs ray[data] (the extra 'ray')")

from edge_embed.integrations.ray.cluster import run_each  # noqa: E402
from edge_embed.integrations.ray.dedup import RayRecords, ray_cluster  # noqa: E402
from edge_embed.integrations.ray.partitions import partitioned_links  # noqa: E402

pytestmark = [pytest.mark.usefixtures("local_ray"), *RAY_WARNINGS]

THRESHOLD = 0.97


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["dedup", *map(str, arguments)])


def refused(error: type[EdgeEmbedError], *arguments: object) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, error), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


@pytest.fixture(scope="module")
def rows(corpus: list[str]) -> list[dict[str, Any]]:
    """Records of which a quarter are planted copies: exact ones, and some with a word exchanged."""
    rng = random.Random(0)
    texts = [text for text in corpus if text.strip()][:240]
    for _ in range(80):
        words = rng.choice(texts[:240]).split()
        if rng.random() < 0.7:
            words[rng.randrange(len(words))] = rng.choice(rng.choice(texts).split())
        texts.append(" ".join(words).upper())
    rng.shuffle(texts)
    return [{"votes": i % 7, "text": text, "code": f"00{i}"} for i, text in enumerate(texts)]


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_one_partition_is_the_deduplication_of_one_machine(
    tiny_model: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    source = write_jsonl(tmp_path / "rows.jsonl", rows)
    options = ["-m", tiny_model, "-i", source, "-t", THRESHOLD, "--column", "text"]
    options += ["--threads", 1, "--keep", "votes"]
    told = []
    runs: dict[str, list[object]] = {"local": [], "ray": ["--ray", "--partitions", 1]}
    for name, more in runs.items():
        output, report = tmp_path / f"{name}.csv", tmp_path / f"{name}.report.jsonl"
        result = run(*options, *more, "-o", output, "--report", report)
        assert result.exit_code == 0, result.output
        told.append((result.stdout, result.stderr, output.read_text(), report.read_text()))
    assert told[0] == told[1]
    assert " 0 exact" not in told[0][1]
    assert " 0 semantic" not in told[0][1]
    # Its report serves either way.
    again = ["-i", source, "--column", "text", "-t", 0.99, "--rethreshold", report]
    for name, more in runs.items():
        result = run(*again, *more[:1], "-o", tmp_path / f"{name}.again.csv")
        assert result.exit_code == 0, result.output
    stricter = (tmp_path / "ray.again.csv").read_text()
    assert stricter == (tmp_path / "local.again.csv").read_text()
    assert len(stricter) > len(told[0][2])


def test_a_folder_becomes_a_folder(
    tiny_model: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    from pyarrow import Table, parquet

    source, output, report = (tmp_path / name for name in ("parts", "unique", "report.jsonl"))
    write_jsonl(source / "a.jsonl", rows[:100])
    (source / "deep").mkdir()
    parquet.write_table(Table.from_pylist(rows[100:200]), source / "deep" / "b.parquet")
    table = "".join(f"{row['votes']},{json.dumps(row['code'])}\r\n" for row in rows[200:203])
    (source / "z.csv").write_text("votes,text\r\n" + table)
    (source / "_SUCCESS").write_text("")
    (source / ".hidden.jsonl").write_text("no JSON")
    result = run(
        *("-m", tiny_model, "-i", source, "--column", "text", "-t", THRESHOLD),
        *("-o", output, "--report", report, "--ray", "--partitions", 3),
    )
    assert result.exit_code == 0, result.output
    names = {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()}
    assert names == {"a.jsonl", "deep/b.parquet", "z.csv"}
    whole = [
        dict(row.values)
        for name in sorted(names)
        for row in read_rows(source / name, column="text")
    ]
    header, *lines = map(json.loads, report.read_text().splitlines())
    gone = {line["row"]: line for line in lines if "row" in line}
    kept = [
        dict(row.values)
        for name in sorted(names)
        for row in read_rows(output / name, column="text")
    ]
    assert kept == [row for number, row in enumerate(whole) if number not in gone]
    assert 0 < header["recall"] <= 1
    for row, line in gone.items():
        assert line["text"] == whole[row]["text"]
        assert line["partner_text"] == whole[line["partner"]]["text"]
    schemas = [parquet.read_schema(path / "deep" / "b.parquet") for path in (source, output)]
    assert schemas[0] == schemas[1]
    assert {path.name for path in tmp_path.iterdir()} == {"parts", "unique", "report.jsonl"}


def chunks(vectors: np.ndarray, size: int) -> list[dict[str, Any]]:
    told = {"dim": vectors.shape[1], "cut": 0, "warnings": ""}
    return [
        {"start": start, "vectors": vectors[start : start + size].tobytes(), **told}
        for start in range(0, len(vectors), size)
    ]


def planted(count: int) -> np.ndarray:
    """Vectors in loose bunches, a third of which have a near copy: float16 (count, 32)."""
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(40, 32))
    vectors = middles[rng.integers(0, 40, count)] + 0.7 * rng.normal(size=(count, 32))
    third = count // 3
    vectors[-third:] = vectors[:third] + 0.15 * rng.normal(size=(third, 32))
    vectors = vectors[rng.permutation(count)]
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float16)


def test_partitions_find_nearly_all_and_say_how_many() -> None:
    vectors = planted(6000)
    order = np.random.default_rng(1).permutation(len(vectors))
    whole = deduplicate(vectors, threshold=0.95, order=order)
    parts = chunks(vectors, 1000)
    rank = np.argsort(order)
    found = [
        partitioned_links(
            ray.data.from_items(some, override_num_blocks=blocks).materialize(), rank, 0.95, 6
        )
        for some, blocks in ((parts, 6), (parts[::-1], 2))
    ]
    # Whatever the order and the size of blocks.
    for name in ("left", "right", "score"):
        assert np.array_equal(*(getattr(one.links, name) for one in found))
    pairs = [
        set(zip(x.left.tolist(), x.right.tolist(), strict=True))
        for x in (whole.links, found[0].links)
    ]
    assert pairs[1] < pairs[0]
    recall = len(pairs[1]) / len(pairs[0])
    assert 0.9 < recall < 1
    assert found[0].recall == pytest.approx(recall, abs=0.04)
    result = from_links(found[0].links, order, threshold=0.95, recall=found[0].recall)
    removed = [len(one.duplicates) for one in (whole, result)]
    assert 0.9 * removed[0] < removed[1] < removed[0]


def test_too_many_links_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = planted(300)
    whole = deduplicate(vectors, threshold=0.5)
    monkeypatch.setattr(duplicates, "MAX_LINKS", len(whole.links) - 1)
    fewer = from_links(whole.links, whole.order, threshold=0.5)
    assert fewer.duplicates == whole.duplicates
    assert not fewer.complete
    assert len(fewer.links) < len(whole.links)


def test_an_error_of_a_task_leaves_no_output(
    tiny_model: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    source = tmp_path / "parts"
    write_jsonl(source / "a.jsonl", rows[:5])
    write_jsonl(source / "b.jsonl", [{"texts": "another column"}])
    options = ["-m", tiny_model, "-i", source, "-o", tmp_path / "out", "--ray", "--column"]
    told = refused(InputError, *options, "text")
    assert told == f"{source / 'b.jsonl'} has no column 'text'; it has: texts"
    report = tmp_path / "report.jsonl"
    alone = ["-m", tiny_model, "-i", source / "a.jsonl", "--column", "text", "-t", THRESHOLD]
    assert run(*alone, "-o", tmp_path / "out.jsonl", "--report", report).exit_code == 0
    outcome = DedupReport.read(report)
    records = RayRecords([source / "a.jsonl"], column="text")
    records.scan()
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray, "get", interrupted)
        with pytest.raises(KeyboardInterrupt):
            records.write(outcome, tmp_path / "out")
    # What was found is of other files: writing fails half-way.
    (source / "a.jsonl").write_text((source / "a.jsonl").read_text() + "{\n")
    with pytest.raises(InputError, match="not JSON"):
        records.write(outcome, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def die() -> None:
    os._exit(1)


def test_a_worker_that_dies_is_told_in_a_line() -> None:
    with pytest.raises(ClusterError, match="the Ray cluster could not finish: ") as told:
        run_each(die, [()])
    assert "\n" not in str(told.value)


def test_what_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    texts, output = tmp_path / "a.txt", tmp_path / "out.txt"
    texts.write_text("one\ntwo\n")
    model = ["-m", tiny_model, "--ray", "-o", output]
    (tmp_path / "empty").mkdir()
    assert "has no files that end in .txt" in refused(InputError, *model, "-i", tmp_path / "empty")
    assert "no such file" in refused(InputError, *model, "-i", tmp_path / "none")
    (tmp_path / "twice").mkdir()
    for name in ("a.txt", "a.txt.gz"):
        (tmp_path / "twice" / name).write_text("")
    assert "the same name: rename" in refused(InputError, *model, "-i", tmp_path / "twice")
    assert "largest node has 2" in refused(InputError, *model, "-i", texts, "--threads", 64)
    told = refused(ModelNotFoundError, *model[2:], "-i", texts, "-m", tmp_path / "none")
    assert "none" in told
    full = ["-i", tmp_path / "twice", "-m", tiny_model, "--ray", "-o"]
    (tmp_path / "twice" / "a.txt.gz").unlink()
    assert "already exists" in refused(OutputError, *full, tmp_path / "twice")
    assert not output.exists()
    for arguments, part in (
        (["--ray", "--partitions", 0], "0 is not in the range"),
        (["--partitions", 2], "--partitions needs --ray"),
        (["--ray", "--against", texts], "--ray takes no --against"),
    ):
        result = run("-i", texts, "-o", output, *arguments)
        assert result.exit_code == 2
        assert part in result.stderr
    with pytest.raises(InputError, match="0 partitions"):
        RayRecords(texts).deduplicate(partial(Embedder, tiny_model), partitions=0)


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    for address, error, part in (
        ("127.0.0.1:1", ClusterError, "cannot reach Ray at 127.0.0.1:1"),
        ("ray://127.0.0.1:1", InputError, "write HOST:PORT, auto or local"),
        ("somewhere", InputError, "write HOST:PORT, auto or local"),
    ):
        with pytest.raises(error, match=part), ray_cluster(address):
            pass


def test_without_the_extra(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['ray'] = None\nfrom edge_embed.cli import run; run(sys.argv[1:])"
    )
    (tmp_path / "a.txt").write_text("one\n")
    command = [sys.executable, "-c", code, "dedup", "-i", "a.txt", "-o", "b.txt", "--ray"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "'ray': pip install 'edge-embed[ray]'" in done.stderr
    assert issubclass(MissingExtraError, ImportError)
