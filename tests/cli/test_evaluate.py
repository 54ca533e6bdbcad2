"""``edge-embed eval`` as a user runs it, on a tiny model."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_embed import PairScorer
from edge_embed.cli import main
from edge_embed.errors import InputError
from edge_embed.model.pair_threshold import PairThreshold


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["eval", *map(str, arguments)])


@pytest.fixture
def sts_file(tmp_path: Path, corpus: list[str]) -> Path:
    path = tmp_path / "sts.tsv"
    rows = [f"{i % 5}\t{corpus[i]}\t{corpus[i + i % 5]}" for i in range(20)]
    path.write_text("\n".join(["score\tsentence1\tsentence2", *rows]), encoding="utf-8")
    return path


@pytest.fixture
def pairs_file(tmp_path: Path, corpus: list[str]) -> Path:
    path = tmp_path / "pairs.tsv"
    rows = [f"{int(i % 2 == 0)}\t{corpus[i]}\t{corpus[i + i % 2]}" for i in range(20)]
    path.write_text("\n".join(["label\tsentence1\tsentence2", *rows]), encoding="utf-8")
    return path


def test_sts_of_two_variants(tiny_model: Path, sts_file: Path, tmp_path: Path) -> None:
    document = tmp_path / "out.json"
    result = run(
        *("sts", sts_file, "-m", f"{tiny_model}:fp32", "-m", tiny_model, "--dim", 8),
        *("--json", document, "--resamples", 20),
    )
    assert result.exit_code == 0, result.output
    assert "difference" in result.stdout
    found = json.loads(document.read_text())
    systems = [entry["system"] for entry in found["results"]]
    assert systems == ["tiny-bert fp32", "tiny-bert fp32 8d", "tiny-bert int8", "tiny-bert int8 8d"]
    assert found["systems"][1]["variant"] == "int8"
    assert found["bootstrap"] == {"resamples": 20, "seed": 0, "confidence": 0.95}


def test_json_on_standard_output_is_one_document(tiny_model: Path, sts_file: Path) -> None:
    result = run("sts", sts_file, "-m", tiny_model, "--json", "-", "--resamples", 0)
    assert json.loads(result.stdout)["task"] == "sts"


def test_a_threshold_is_stored_with_the_model(
    tiny_model: Path, pairs_file: Path, tmp_path: Path
) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    result = run("pairs", pairs_file, "-m", folder, "--save-threshold", "--resamples", 5)
    assert result.exit_code == 0, result.output
    stored = PairThreshold.load(folder)
    assert stored is not None
    assert (stored.pairs, stored.positives, stored.variant, stored.dim) == (20, 10, "int8", 32)
    # Positive pairs are equal texts; how near the others come depends on random weights.
    assert 0.9 < stored.threshold <= 1
    assert stored.f1 == 1.0


def test_wrong_usage(tiny_model: Path, pairs_file: Path) -> None:
    both = ("-m", tiny_model, "-m", f"{tiny_model}:fp32")
    refused = run("pairs", pairs_file, *both, "--save-threshold")
    assert isinstance(refused.exception, InputError)
    assert run("pairs", pairs_file, "--save-threshold", "--dim", 8).exit_code == 2
    assert run("sts").exit_code == 2
    bad = run("sts", pairs_file, "--plot", "plot.pdf", "-m", tiny_model)
    assert isinstance(bad.exception, InputError)


def test_retrieval_says_what_is_left_out(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus.tsv").write_text("id\ttext\nd1\tA red car\nd2\tA small cat\n")
    (tmp_path / "queries.tsv").write_text("id\ttext\nq1\tcar\nq2\tcat\n")
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    with pytest.warns(UserWarning, match="left out 1 queries without judgement"):
        result = run("retrieval", tmp_path, "-m", tiny_model, "--resamples", 5)
    assert "ndcg@10" in result.stdout


def test_hits_are_ordered_anew(tiny_model: Path, tiny_pair_model: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus.tsv").write_text("id\ttext\nd1\tA red car\nd2\tA small cat\n")
    (tmp_path / "queries.tsv").write_text("id\ttext\nq1\tcar\nq2\tcat\n")
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n")
    arguments = ("-m", tiny_model, "--rerank", tiny_pair_model, "--candidates", 2)
    result = run("retrieval", tmp_path, *arguments, "--resamples", 5, "--json", "-")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    alone, anew = document["results"]
    assert anew["system"] == f"{alone['system']} + {tiny_pair_model.name} fp32"
    assert anew["details"]["candidates"] == 2
    assert "ndcg@10" in anew["differences"]
    assert document["systems"][0]["reranker"]["candidates"] == 2
    scorer = PairScorer(tiny_pair_model, cache=False)
    firsts = [
        scorer.rank(query, ["A red car", "A small cat"])[0].row == row
        for row, query in enumerate(["car", "cat"])
    ]
    assert anew["metrics"]["mrr@10"]["value"] == (sum(firsts) + 0.5 * (2 - sum(firsts))) / 2
