"""Evaluations from files to results, with encoders whose truth is known."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_embed.errors import InputError
from edge_embed.evaluation import (
    Bootstrap,
    ClusterSet,
    Dataset,
    PairSet,
    Result,
    RetrievalSet,
    StsSet,
    System,
    as_json,
    compare,
    table,
)
from edge_embed.evaluation.measured import Role, Vectors
from edge_embed.evaluation.retrieval import search

TOPICS = {"cat": 0.0, "kitten": 0.2, "car": 1.4, "truck": 1.7}


def angles(texts: Sequence[str], role: Role) -> Vectors:
    """Embed a known word as a point on a circle of radius 3: length must not count."""
    angle = np.asarray([TOPICS[text] for text in texts])
    return (np.stack([np.cos(angle), np.sin(angle)], axis=1) * 3).astype(np.float32)


def confused(texts: Sequence[str], role: Role) -> Vectors:
    """Take a kitten for a car and a car for a kitten."""
    swapped = {"kitten": "car", "car": "kitten"}
    return angles([swapped.get(text, text) for text in texts], role)


def system(name: str = "good", embed: Any = angles, dims: Sequence[int] = ()) -> System:
    return System(name, embed, {"version": 1}, dims)


def write(path: Path, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def sts(tmp_path: Path) -> StsSet:
    rows = ["5\tcat\tkitten", "0.5\tcat\tcar", "1\tcat\ttruck", "4.9\tcar\ttruck"]
    return StsSet.read(write(tmp_path / "mine.tsv", "score\tsentence1\tsentence2", *rows))


@pytest.fixture
def pairs(tmp_path: Path) -> PairSet:
    rows = ["1\tcat\tkitten", "0\tcat\tcar", "0\tkitten\ttruck", "1\tcar\ttruck"]
    return PairSet.read(write(tmp_path / "pairs.tsv", "label\tsentence1\tsentence2", *rows * 5))


@pytest.fixture
def retrieval(tmp_path: Path) -> RetrievalSet:
    folder = tmp_path / "zoo"
    corpus = [{"_id": word, "text": word} for word in TOPICS]
    write(folder / "corpus.jsonl", *(json.dumps(row) for row in corpus))
    write(folder / "queries.tsv", "id\ttext", "q1\tcat", "q2\tcar", "q3\ttruck")
    judgements = ["q1\tcat\t2", "q1\tkitten\t1", "q2\ttruck\t1", "q9\tcat\t1", "q2\tdog\t1"]
    write(folder / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore", *judgements)
    return RetrievalSet.read(folder)


@pytest.fixture
def clusters(tmp_path: Path) -> ClusterSet:
    rows = ["animal\tcat", "animal\tkitten", "thing\tcar", "thing\ttruck"] * 10
    return ClusterSet.read(write(tmp_path / "clusters.tsv", "label\ttext", *rows))


def test_sts(sts: StsSet) -> None:
    (result,) = compare([sts], [system()])
    # Cosines 0.98, 0.17, -0.13, 0.96: the two last ranks are exchanged, 1 - 6 * 2 / (4 * 15).
    assert result.metrics["spearman"].value == pytest.approx(0.8)
    assert result.rows == 4
    assert result.dataset.endswith("/mine")


def test_a_folder_is_one_set(tmp_path: Path) -> None:
    header = "score\tsentence1\tsentence2"
    write(tmp_path / "year" / "a.tsv", header, "5\tcat\tkitten")
    packed = gzip.compress(f"{header}\n0\tcat\tcar\n".encode())
    (tmp_path / "year" / "b.tsv.gz").write_bytes(packed)
    found = StsSet.read(tmp_path / "year")
    assert (found.name, found.rows) == ("year", 2)
    assert found.inputs() == {"text": ["cat", "cat", "kitten", "car"]}


def test_pairs(pairs: PairSet) -> None:
    good, bad = compare([pairs], [system(), system("bad", confused)])
    assert good.metrics["average_precision"].value == 1.0
    assert good.metrics["f1"].value == 1.0
    assert 0.18 < good.metrics["threshold"].value < 0.98
    assert good.details["positives"] == 10
    assert good.details["calibration_error"] < 0.2
    assert bad.metrics["f1"].value < 1
    assert bad.differences["f1"].value == bad.metrics["f1"].value - 1


def test_retrieval(retrieval: RetrievalSet) -> None:
    assert retrieval.queries == ["cat", "car"]
    assert retrieval.left_out == {
        "unknown documents": 1,
        "unknown queries": 1,
        "queries without judgement": 1,
    }
    (result,) = compare([retrieval], [system()])
    # q1 finds both in the ideal order; q2 finds itself (unjudged) before the truck.
    assert result.metrics["ndcg@10"].value == pytest.approx((1 + 1 / np.log2(3)) / 2)
    assert result.metrics["mrr@10"].value == pytest.approx(0.75)
    assert result.metrics["recall@10"].value == 1.0


def test_a_title_comes_before_its_text(tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    write(folder / "corpus.jsonl", '{"_id": "1", "title": "T", "text": "x"}')
    write(folder / "train-queries.jsonl", '{"_id": "q", "text": "y"}')
    write(folder / "train-qrels.tsv", "query-id\tcorpus-id\tscore", "q\t1\t1")
    found = RetrievalSet.read(folder, split="train")
    assert found.documents == ["T x"]
    assert found.name == "beir/train"


def test_search_orders_ties_by_row() -> None:
    documents = np.asarray([[1, 0], [0, 1], [2, 0], [1, 0.1]], np.float32)
    queries = np.asarray([[1, 0]], np.float32)
    assert search(queries, documents, depth=4).tolist() == [[0, 2, 3, 1]]
    assert search(queries, documents, depth=99).shape == (1, 4)


def test_clustering(clusters: ClusterSet) -> None:
    pytest.importorskip("sklearn", reason="needs scikit-learn (the extra 'eval')")
    (result,) = compare([clusters], [system()])
    assert result.metrics["v_measure"].value == pytest.approx(1.0)
    assert result.details["clusters"] == 2


def test_equal_systems_differ_by_nothing(sts: StsSet) -> None:
    first, second = compare([sts], [system(), system("same")])
    assert first.differences == {}
    for difference in second.differences.values():
        assert (difference.value, difference.low, difference.high) == (0, 0, 0)


def test_dims_are_systems_of_their_own(sts: StsSet) -> None:
    results = list(compare([sts], [system(dims=[1])]))
    assert [(result.system, result.dim) for result in results] == [("good", 2), ("good 1d", 1)]
    with pytest.raises(InputError, match="good has 2 dimensions; cannot keep 3"):
        list(compare([sts], [system(dims=[3])]))


def test_averages_over_datasets(sts: StsSet, tmp_path: Path) -> None:
    rows = ["1\tcat\tkitten", "5\tcat\tcar", "3\tcar\tkitten"]
    other = StsSet.read(write(tmp_path / "other.tsv", "score\tsentence1\tsentence2", *rows))
    results = list(compare([sts, other], [system(), system("bad", confused)]))
    assert [result.dataset for result in results[-2:]] == ["average", "average"]
    mine = [r.metrics["spearman"].value for r in results if r.system == "good"]
    assert mine[2] == pytest.approx((mine[0] + mine[1]) / 2)
    assert results[-1].differences
    assert results[-2].rows == 7


def test_names_must_differ(sts: StsSet) -> None:
    with pytest.raises(InputError, match="two models are called 'good'"):
        list(compare([sts], [system(), system()]))
    with pytest.raises(InputError, match="two datasets are called"):
        list(compare([sts, sts], [system()]))


def test_the_table_and_json_say_the_same(sts: StsSet) -> None:
    bootstrap = Bootstrap(resamples=20)
    systems = [system(), system("bad", confused)]
    results: list[Result] = list(compare([sts], systems, bootstrap=bootstrap))
    shown = table(results)
    assert "80.00" in shown
    assert "difference" in shown
    document = json.loads(json.dumps(as_json("sts", results, systems, bootstrap), allow_nan=False))
    assert document["results"][0]["metrics"]["spearman"]["value"] == pytest.approx(0.8)
    assert document["systems"][0] == {"name": "good", "version": 1}


@pytest.mark.parametrize(
    ("kind", "rows", "message"),
    [
        (StsSet, ["score\tsentence1\tsentence2", "much\tcat\tcar"], "line 2: the score 'much'"),
        (StsSet, ["score\tsentence1\tsentence2", "nan\tcat\tcar"], "line 2: the score 'nan'"),
        (StsSet, ["score\tsentence1\tsentence2", "1\t\tcar"], "line 2: the sentence1 is empty"),
        (StsSet, ["score\tsentence1\tsentence2", "1\tcat\t "], "line 2: the sentence2 is empty"),
        (StsSet, ["score\tsentence1\tsentence2", "1\tcat\tcar"], "all scores are equal"),
        (StsSet, ["score\tsentence1", "1\tcat"], "no column 'sentence2'"),
        (PairSet, ["label\tsentence1\tsentence2", "2\tcat\tcar"], "line 2: the label '2'"),
        (PairSet, ["label\tsentence1\tsentence2", "1\tcat\tcar"], "all labels are 1"),
        (ClusterSet, ["label\ttext", "a\tcat"], "all texts have the label a"),
    ],
)
def test_bad_tables_are_named(tmp_path: Path, kind: Any, rows: list[str], message: str) -> None:
    path = write(tmp_path / "bad.tsv", *rows)
    with pytest.raises(InputError, match=message) as caught:
        kind.read(path)
    assert str(path) in str(caught.value)


def test_bad_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        StsSet.read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no table"):
        StsSet.read(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        RetrievalSet.read(tmp_path / "nowhere")
    write(tmp_path / "corpus.tsv", "id\ttext", "1\tx", "1\ty")
    with pytest.raises(InputError, match="line 3: the id '1' is there twice"):
        RetrievalSet.read(tmp_path)
    write(tmp_path / "corpus.tsv", "id\ttext", "1\tx")
    with pytest.raises(InputError, match=r"has no test-queries.tsv, queries.tsv"):
        RetrievalSet.read(tmp_path)
    write(tmp_path / "queries.tsv", "id\ttext", "q\tx")
    write(tmp_path / "qrels.tsv", "query-id\tcorpus-id\tscore", "q\t1\t0")
    with pytest.raises(InputError, match="judges no query"):
        RetrievalSet.read(tmp_path)


def test_plots_are_drawn(pairs: PairSet, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib (the extra 'plot')")
    from edge_embed.evaluation.plot import plot

    results = list(compare([pairs], [system(), system("bad", confused)]))
    plot(results, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("dataset", ["sts", "pairs", "retrieval", "clusters"])
def test_datasets_are_datasets(dataset: str, request: pytest.FixtureRequest) -> None:
    value: Dataset = request.getfixturevalue(dataset)
    assert value.rows > 0
    assert all(value.inputs().values())
