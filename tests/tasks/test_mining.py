"""Paraphrase mining against its definition, the flags beside the score, and the command."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_embed.cli import main
from edge_embed.cli.terminal import say_recall
from edge_embed.errors import InputError
from edge_embed.files.readers import read_rows
from edge_embed.model.pair_threshold import Logistic, PairThreshold
from edge_embed.tasks import Pair, cluster, differences, paraphrase_mining
from edge_embed.tasks.neighbours import nearest
from edge_embed.tasks.vectors import Rows


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(2, 40), seed=st.integers(0, 99), top_k=st.integers(1, 50))
def test_the_definition_holds(rows: int, seed: int, top_k: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(rows, 4)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similar = unit @ unit.T
    np.fill_diagonal(similar, -2)
    near = np.argsort(-similar, axis=1)[:, : min(top_k, rows - 1)]
    expected = {
        (min(i, int(j)), max(i, int(j)))
        for i in range(rows)
        for j in near[i]
        if similar[i, j] >= 0.5
    }
    pairs = paraphrase_mining(vectors, threshold=0.5, top_k=top_k)
    assert {(pair.first, pair.second) for pair in pairs} == expected
    scores = [pair.score for pair in pairs]
    assert scores == sorted(scores, reverse=True)
    assert scores == pytest.approx([similar[p.first, p.second] for p in pairs], abs=1e-5)
    if pairs:
        assert paraphrase_mining(vectors, threshold=0.5, top_k=top_k, limit=1) == pairs[:1]


def test_edges() -> None:
    assert paraphrase_mining(np.empty((0, 3), np.float32)) == []
    assert paraphrase_mining(np.ones((1, 3), np.float32)) == []
    assert paraphrase_mining(np.eye(3, dtype=np.float32)) == []
    same = paraphrase_mining(np.ones((3, 3), np.float32))
    assert [(p.first, p.second) for p in same] == [(0, 1), (0, 2), (1, 2)]
    assert same[0] == Pair(0, 1, pytest.approx(1))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="vector 1"):
        paraphrase_mining(np.array([[1.0, 0], [np.nan, 0]]))
    with pytest.raises(InputError, match="k is 0"):
        paraphrase_mining(np.ones((2, 2)), top_k=0)
    with pytest.raises(InputError, match="limit is 0"):
        paraphrase_mining(np.ones((2, 2)), limit=0)


@pytest.mark.parametrize(
    ("first", "second", "negation", "numbers"),
    [
        ("it works", "it does not work", True, False),
        ("it works", "It doesn\u2019t work", True, False),
        ("I can't log in", "I cannot log in", False, False),
        ("not without you", "with you", False, False),
        ("nothing happened", "notable things happened", True, False),
        ("Part II of 3", "Part II of 4", False, True),
        ("1,000 people", "1000 people", False, False),
        ("1.50 euro", "1.5 euro", False, False),
        ("two cups", "2 cups", False, False),
        ("one of them", "some of them", False, False),
        ("", "", False, False),
    ],
)
def test_differences(first: str, second: str, *, negation: bool, numbers: bool) -> None:
    for a, b in ((first, second), (second, first)):
        found = differences(a, b)
        assert (found.negation, found.numbers) == (negation, numbers)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["pairs", "--by", "cosine", *map(str, arguments)])


def test_the_command(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts, given_file = tmp_path / "texts.txt", tmp_path / "given.tsv"
    texts.write_text("Opening hours\nWhere is my order?\nopening hours\n")
    given_file.write_text("sentence1\tsentence2\nOpening hours\topening HOURS\n")
    result = run("-m", tiny_model, "-i", texts, "-t", 0.9999)
    assert result.exit_code == 0, result.output
    assert result.stdout == "1.0000  Opening hours  |  opening hours\n"
    (row,) = json.loads(run("-m", tiny_model, "-i", texts, "-t", 0.9999, "--json").stdout)
    assert (row["row_1"], row["row_2"], row["probability"]) == (0, 2, None)
    output = tmp_path / "out.csv"
    assert run("-m", tiny_model, "-i", texts, "-t", 0.9999, "-o", output).exit_code == 0
    assert [r.values["text_2"] for r in read_rows(output, column="text_1")] == ["opening hours"]

    refused = run("-m", tiny_model, "-i", given_file, "--given")
    assert isinstance(refused.exception, InputError)
    assert "eval pairs FILE --save-threshold" in str(refused.exception)
    fitted = PairThreshold(
        threshold=0.9,
        logistic=Logistic(10, -9),
        f1=1,
        average_precision=1,
        variant="int8",
        dim=32,
        dataset="d",
        pairs=2,
        positives=1,
    )
    monkeypatch.setattr(PairThreshold, "load", lambda folder: fitted)
    (row,) = json.loads(run("-m", tiny_model, "-i", given_file, "--given", "--json").stdout)
    assert row["same"] is True
    assert row["probability"] == pytest.approx(0.7311, abs=1e-3)
    line = run("-m", tiny_model, "-i", given_file, "--given", "-t", 1.0).stdout
    assert line.startswith("1.0000  p=0.73  ")


def test_wrong_usage(tmp_path: Path) -> None:
    assert run().exit_code == 2
    assert run("-i", "a.txt", "-o", "b.csv", "--json").exit_code == 2
    empty = tmp_path / "a.tsv"
    empty.write_text("sentence1\tsentence2\na\t \n")
    result = run("-i", empty, "--given")
    assert isinstance(result.exception, InputError)
    assert "line 2: a text is empty" in str(result.exception)


def test_the_recall_of_an_approximate_search_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    vectors = np.random.default_rng(0).normal(size=(3000, 16)).astype(np.float32)
    assert paraphrase_mining(vectors, threshold=0.8, exact=True).recall == 1
    pairs = paraphrase_mining(vectors, threshold=0.8, exact=False)
    assert pairs.recall == nearest(Rows(vectors), 10, exact=False).recall
    assert 0.5 < pairs.recall <= 1
    assert cluster(vectors, exact=True).recall == 1
    assert cluster(vectors, exact=False).recall == pairs.recall
    for recall, said in ((1.0, ""), (0.987, "neighbours found in a sample: 98.7% of those")):
        say_recall(recall, "neighbours")
        assert capsys.readouterr().err.startswith(said)
