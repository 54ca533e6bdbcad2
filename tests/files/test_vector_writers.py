"""Writers: what goes in comes out, whole or not at all."""

import json
from pathlib import Path

import numpy as np
import pytest

from edge_embed.errors import InputError, OutputError
from edge_embed.files.vector_writers import open_writer

VECTORS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
TEXTS = ["one", "zwei", "trois", "四", '"five"\n']


def write(path: Path | None, vectors: np.ndarray = VECTORS) -> None:
    with open_writer(path) as writer:
        writer.write(TEXTS[:2], vectors[:2])
        writer.write(TEXTS[2:], vectors[2:])


def write_interrupted(path: Path | None) -> None:
    with open_writer(path) as writer:
        writer.write(TEXTS, VECTORS)
        raise KeyboardInterrupt


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.uint8])
def test_npy(tmp_path: Path, dtype: type) -> None:
    vectors = (VECTORS * 40).astype(dtype) if dtype is not np.float32 else VECTORS
    write(tmp_path / "v.npy", vectors)
    loaded = np.load(tmp_path / "v.npy")
    assert loaded.dtype == dtype
    assert (loaded == vectors).all()
    assert (np.load(tmp_path / "v.npy", mmap_mode="r") == vectors).all()


def test_jsonl_keeps_every_bit(tmp_path: Path) -> None:
    write(tmp_path / "v.jsonl")
    records = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().split("\n")[:-1]]
    assert [record["text"] for record in records] == TEXTS
    assert (np.array([r["embedding"] for r in records], np.float32) == VECTORS).all()


def test_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow (the extra 'parquet')")
    write(tmp_path / "v.parquet")
    table = parquet.read_table(tmp_path / "v.parquet")
    assert table["text"].to_pylist() == TEXTS
    assert (np.array(table["embedding"].to_pylist(), np.float32) == VECTORS).all()


def test_standard_output_is_one_json_document(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    write(None)
    records = json.loads(capfdbinary.readouterr().out)
    assert [record["text"] for record in records] == TEXTS


@pytest.mark.parametrize("name", ["v.npy", "v.jsonl", "v.parquet"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="needs pyarrow (the extra 'parquet')")
    path = tmp_path / name
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_interrupted(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_prints_nothing(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_interrupted(None)
    assert capfdbinary.readouterr().out == b""


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.npy, \.jsonl, \.parquet"), open_writer("v.xlsx"):
        pass


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"), open_writer(tmp_path / "no/v.npy"):
        pass
