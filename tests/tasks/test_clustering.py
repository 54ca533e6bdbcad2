"""Clusters: found without their number, stable, named, and what tiny inputs give."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_embed.cli import main
from edge_embed.errors import InputError
from edge_embed.files.readers import read_rows
from edge_embed.tasks import OUTLIER, Clustering, cluster
from edge_embed.tasks.clustering.map import cluster_map
from edge_embed.tasks.clustering.names import cluster_names
from edge_embed.tasks.clustering.report import ClusterReport
from edge_embed.tasks.vectors import Floats


def bunches(sizes: list[int], seed: int = 0, *, spread: float = 0.1) -> Floats:
    rng = np.random.default_rng(seed)
    middles = np.eye(16, dtype=np.float32)[: len(sizes)]
    rows = [m + spread * rng.normal(size=(n, 16)) for m, n in zip(middles, sizes, strict=True)]
    return np.concatenate(rows).astype(np.float32)


def partition(found: Clustering) -> set[frozenset[int]]:
    return {frozenset(group.rows.tolist()) for group in found.clusters}


def test_bunches_are_found() -> None:
    found = cluster(bunches([60, 40, 50]), threshold=0.5)
    assert partition(found) == {
        frozenset(range(60)),
        frozenset(range(60, 100)),
        frozenset(range(100, 150)),
    }
    assert [group.size for group in found.clusters] == [60, 50, 40]
    assert found.labels[0] == 0
    assert all(group.cohesion > 0.9 for group in found.clusters)


def test_outliers_are_kept_apart() -> None:
    stray = -bunches([3], seed=9)
    found = cluster(np.concatenate([bunches([50, 50]), stray]), threshold=0.5)
    assert found.labels[-3:].tolist() == [OUTLIER] * 3
    assert len(found.clusters) == 2
    assert (found.scores[:100] >= 0.5).all()


def test_the_same_again_and_new_rows() -> None:
    vectors = bunches([60, 40, 50])
    found = cluster(vectors, threshold=0.5)
    again = cluster(vectors, threshold=0.5)
    assert found.labels.tolist() == again.labels.tolist()
    labels, scores = found.assign(vectors)
    assert labels.tolist() == found.labels.tolist()
    np.testing.assert_allclose(scores, found.scores)
    new, _ = found.assign(np.concatenate([bunches([1, 1, 1], seed=3), -vectors[:1]]))
    assert new.tolist() == [0, 2, 1, OUTLIER]
    with pytest.raises(InputError, match="3 dimensions do not fit"):
        found.assign(np.ones((1, 3)))


def test_resolution_and_size() -> None:
    vectors = bunches([40] * 8, spread=0.25)
    few, many = (len(cluster(vectors, resolution=r).clusters) for r in (0.05, 4.0))
    assert few < many
    assert cluster(vectors, min_size=1000).clusters == ()


def test_edges() -> None:
    empty = cluster(np.empty((0, 4), np.float32))
    assert (empty.labels.tolist(), empty.clusters) == ([], ())
    assert empty.assign(np.ones((2, 4)))[0].tolist() == [OUTLIER] * 2
    assert cluster(np.ones((1, 4))).labels.tolist() == [OUTLIER]
    assert cluster(np.ones((1, 4)), min_size=1).labels.tolist() == [0]
    same = cluster(np.ones((20, 4)))
    assert same.labels.tolist() == [0] * 20
    different = cluster(np.eye(20))
    assert different.labels.tolist() == [OUTLIER] * 20


@pytest.mark.parametrize(
    ("vectors", "options", "part"),
    [
        (np.array([[1.0, 0], [np.nan, 0]]), {}, "vector 1 has values"),
        (np.ones(3), {}, "one array"),
        (np.ones((2, 2)), {"min_size": 0}, "min_size is 0"),
        (np.ones((2, 2)), {"resolution": 0}, "resolution is 0"),
        (np.ones((2, 2)), {"threshold": 2}, "threshold is 2"),
        (np.ones((2, 2)), {"neighbours": 0}, "k is 0"),
    ],
)
def test_bad_input(vectors: Floats, options: dict[str, float], part: str) -> None:
    with pytest.raises(InputError, match=part):
        cluster(vectors, **options)  # type: ignore[arg-type]


def test_names() -> None:
    texts = ["reset my password", "forgot the password", "opening hours of the shop", "the odd one"]
    names = cluster_names(texts, [0, 0, 1, OUTLIER], [1, 2], words=2)
    assert [name.text for name in names] == [texts[1], texts[2]]
    assert names[0].words[0] == "password"
    assert "the" not in names[0].words[:1] + names[1].words[:2]


def test_a_map(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    pytest.importorskip("sklearn", reason="needs the extra 'plot'")
    for sizes in ([30, 20], [2], [1]):
        vectors = bunches(sizes)
        labels = np.zeros(len(vectors), np.int64)
        cluster_map(
            vectors, labels, ["cost in $ and more, a name that is long"], tmp_path / "m.png"
        )
        assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["cluster", *map(str, arguments)])


def test_the_command(tiny_model: Path, corpus: list[str], tmp_path: Path) -> None:
    source, output = tmp_path / "rows.jsonl", tmp_path / "out.csv"
    report, assigned = tmp_path / "report.json", tmp_path / "assigned.csv"
    rows = [{"id": i, "text": text} for i, text in enumerate(corpus[:80])]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    options = ["-m", tiny_model, "-i", source, "--min-size", 3]
    result = run(*options, "-o", output, "--report", report)
    assert result.exit_code == 0, result.output
    assert "80 texts: " in result.stderr
    found = list(read_rows(output, column="text"))
    assert [row.text for row in found] == corpus[:80]
    read = ClusterReport.read(report)
    assert read.texts == 80
    assert sum(entry.size for entry in read.clusters) + read.outliers == 80
    for row in found:
        number = int(str(row.values["cluster"]))
        name = read.clusters[number].name if number >= 0 else ""
        assert row.values["cluster_name"] == name
    result = run("-m", tiny_model, "-i", source, "-o", assigned, "--assign", report)
    assert result.exit_code == 0, result.output
    assert assigned.read_text(encoding="utf-8") == output.read_text(encoding="utf-8")
    assert run(*options, "-o", output, "--report", tmp_path / "r.csv").exit_code == 0
    assert (tmp_path / "r.csv").read_text().startswith("cluster,size,cohesion,name,words")

    def refused(*arguments: object) -> str:
        result = run(*arguments)
        assert isinstance(result.exception, InputError), result.output
        return str(result.exception)

    again = ["-i", source, "-o", assigned, "--assign", report]
    other = refused("-m", tiny_model, "--variant", "fp32", *again)
    assert "made with another model" in other
    assert "already" in refused("-m", tiny_model, "-i", output, "--column", "text", "-o", assigned)
    report.write_text(report.read_text()[:-20])
    assert "not a whole .json report" in refused("-m", tiny_model, *again)
    assert ".json or .csv" in refused(*options, "-o", output, "--report", "r.txt")
    assert ".png" in refused(*options, "-o", output, "--plot", "p.pdf")
    assert run(*again, "--plot", "p.png").exit_code == 2
    assert run("-o", output).exit_code == 2
