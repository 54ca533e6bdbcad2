"""Embedding over Ray, held against that of one process; a local Ray of two processors."""

import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_embed import Embedder, TruncationWarning
from edge_embed.embedder import Encoded
from edge_embed.errors import ClusterError, InputError, ModelNotFoundError, OutputError
from tests.support.ray_warnings import RAY_WARNINGS

ray = pytest.importorskip("ray", reason="needs ray (the extra 'ray')")
pytest.importorskip("ray.data", reason="needs ray[data] (the extra 'ray')")
from pyarrow import Table, parquet  # noqa: E402

from edge_embed.integrations.ray import embed as ray_embed  # noqa: E402
from edge_embed.integrations.ray.embed import embed_dataset, embed_parquet  # noqa: E402

pytestmark = [pytest.mark.usefixtures("local_ray"), *RAY_WARNINGS]

FILES, ROWS = 4, 300

# Workers cannot import this module.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def source(corpus: list[str], tmp_path: Path) -> Path:
    """A folder of Parquet files: 1200 texts, each with its number, one of them too long."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for file in range(FILES):
        numbers = range(file * ROWS, (file + 1) * ROWS)
        texts = [f"{number} {corpus[number % len(corpus)]}" for number in numbers]
        if file == 2:
            texts[7] = "word " * 500
        rows = Table.from_pydict({"number": list(numbers), "text": texts})
        parquet.write_table(rows, folder / f"{file}.parquet")
    return folder


def written(folder: Path) -> dict[str, Any]:
    table = parquet.read_table(folder).sort_by("number")
    return {name: table.column(name).to_pylist() for name in table.column_names}


class Dying(Embedder):
    """A model whose process is killed once, in the middle of its work."""

    def __init__(self, folder: Path, marker: Path) -> None:
        super().__init__(folder, threads=1, cache=False)
        self._marker, self._calls, self._born_in = marker, 0, os.getpid()

    def encode_detailed(self, texts: Sequence[str], **options: Any) -> Encoded:
        self._calls += 1
        if self._calls == 2:
            try:
                self._marker.touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_detailed(texts, **options)


def test_a_killed_worker_loses_and_repeats_nothing(
    tiny_model: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_embed, "_ROWS", 100)
    marker, output = tmp_path / "killed", tmp_path / "vectors"
    with pytest.warns(TruncationWarning, match="1 of 1200 texts are longer than 128 tokens"):
        result = embed_parquet(source, output, partial(Dying, tiny_model, marker), normalize=True)
    assert marker.exists()
    assert (result.rows, result.truncated) == (FILES * ROWS, 1)
    found, given = written(output), written(source)
    assert found["number"] == given["number"]
    assert found["text"] == given["text"]
    assert [n for n, cut in enumerate(found["embedding_truncated"]) if cut] == [2 * ROWS + 7]
    model = Embedder(tiny_model, threads=1, cache=False)
    expected = model.encode(given["text"], normalize=True, truncation="ignore")
    np.testing.assert_allclose(np.array(found["embedding"], np.float32), expected, atol=2e-3)
    kind = parquet.read_schema(next(output.glob("*.parquet"))).field("embedding").type
    assert (kind.list_size, str(kind.value_type)) == (model.dim, "float")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "texts", "vectors"]


def test_a_data_set_in_the_middle_of_others(tiny_model: Path) -> None:
    data = ray.data.from_items([{"title": f"title {number}"} for number in range(50)])
    load = partial(Embedder, tiny_model, threads=1, cache=False)
    embedded = embed_dataset(data, load, column="title", output="v", dim=8)
    rows = embedded.map(lambda row: row | {"upper": row["title"].upper()}).take_all()
    assert sorted(row["upper"] for row in rows) == sorted(f"TITLE {n}" for n in range(50))
    assert {len(row["v"]) for row in rows} == {8}
    assert not any(row["v_truncated"] for row in rows)


def never_loads() -> Embedder:
    raise ModelNotFoundError("no such model: gone")


def dies() -> Embedder:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_what_is_refused(tiny_model: Path, source: Path, tmp_path: Path) -> None:
    load, output = partial(Embedder, tiny_model, threads=1, cache=False), tmp_path / "out"
    with pytest.raises(InputError, match=r"no column 'title'; it has: number, text"):
        embed_parquet(source, output, load, column="title")
    with pytest.raises(InputError, match=r"holds \d+, which is no text"):
        embed_parquet(source, output, load, column="number")
    with pytest.raises(InputError, match="a column 'number' already"):
        embed_parquet(source, output, load, output="number")
    with pytest.raises(InputError, match="no such file"):
        embed_parquet(tmp_path / "none", output, load)
    with pytest.raises(InputError, match="cannot keep 99 dimensions"):
        embed_parquet(source, output, load, dim=99)
    with pytest.raises(InputError, match="largest node has 2"):
        embed_parquet(source, output, load, threads=64)
    with pytest.raises(ModelNotFoundError, match="gone"):
        embed_parquet(source, output, never_loads)
    with pytest.raises(OutputError, match="already exists"):
        embed_parquet(source, source, load)
    (tmp_path / "no.parquet").write_text("text\nno Parquet\n")
    with pytest.raises(InputError, match=r"cannot read .*no\.parquet as Parquet"):
        embed_parquet(tmp_path / "no.parquet", output, load)
    # What only a worker meets, in the last of many rows, leaves nothing behind either.
    rows = Table.from_pydict({"number": [1, 2], "text": ["fine", None]})
    parquet.write_table(rows, source / "z.parquet")
    with pytest.raises(InputError, match="holds None, which is no text"):
        embed_parquet(source, output, load)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["no.parquet", "texts"]


def test_a_cluster_that_cannot_finish(tmp_path: Path) -> None:
    data = ray.data.from_items([{"text": "one"}])
    from edge_embed.integrations.ray.cluster import cluster_errors

    with pytest.raises(ClusterError, match="the Ray cluster could not finish"), cluster_errors():
        embed_dataset(data, dies).take_all()
