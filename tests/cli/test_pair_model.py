"""Commands that take a pair model, as a user runs them, on tiny models."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_embed import PairScorer, embedder
from edge_embed.cli import main
from edge_embed.runtime.encoder import Encoder, load_encoder
from edge_embed.tasks import deduplicate
from tests.support.pair_sources import with_cosine


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def pairs_file(tmp_path: Path, corpus: list[str]) -> Path:
    path = tmp_path / "pairs.tsv"
    rows = [
        f"{int(i % 2 == 0)}\t{corpus[i]}\t{corpus[i + i % 2]}\t{'same' if i % 2 == 0 else 'other'}"
        for i in range(20)
    ]
    path.write_text("\n".join(["label\tsentence1\tsentence2\tkind", *rows]), encoding="utf-8")
    return path


def test_given_pairs_are_read_together(pairs_file: Path, tiny_pair_model: Path) -> None:
    arguments = ("pairs", "-i", pairs_file, "--given", "--pair-model", tiny_pair_model, "--json")
    rows = json.loads(run(*arguments).stdout)
    scorer = PairScorer(tiny_pair_model, cache=False)
    scores = scorer.predict([(row["text_1"], row["text_2"]) for row in rows])
    np.testing.assert_allclose([row["score"] for row in rows], scores, atol=1e-4)
    assert [row["same"] for row in rows] == (scores >= 0.5).tolist()


def test_eval_of_both_sorts_of_model(
    pairs_file: Path, tiny_model: Path, tiny_pair_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    run(
        *("eval", "pairs", pairs_file, "-m", tiny_model, "-m", tiny_pair_model),
        *("--json", out, "--resamples", 10),
    )
    cosine, pair = json.loads(out.read_text())["results"]
    assert pair["system"] == f"{tiny_pair_model.name} fp32"
    for result in (cosine, pair):
        kinds = result["details"]["kinds"]
        assert {kind: facts["pairs"] for kind, facts in kinds.items()} == {"other": 10, "same": 10}
    assert cosine["details"]["kinds"]["other"]["area_under_curve"] == 1


def test_hits_are_reranked(
    tmp_path: Path, tiny_model: Path, tiny_pair_model: Path, corpus: list[str]
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(corpus[:30]), encoding="utf-8")
    index = tmp_path / "a.index"
    run("index", "create", index, "-m", tiny_model)
    run("index", "add", index, "-i", texts)
    query = corpus[40]
    arguments = ("search", index, query, "-k", 5, "--rerank", tiny_pair_model, "--json")
    hits = json.loads(run(*arguments).stdout)[0]["hits"]
    scores = PairScorer(tiny_pair_model, cache=False).predict([(query, t) for t in corpus[:30]])
    np.testing.assert_allclose([h["reranked"] for h in hits], np.sort(scores)[::-1][:5], atol=1e-4)


def test_dedup_keeps_what_is_not_confirmed(
    tmp_path: Path, tiny_model: Path, tiny_pair_model: Path
) -> None:
    rows = ["Shop window lights", "Shop window lìghts", "The committee met on Monday in March"]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"text": r}) + "\n" for r in rows))
    scorer = PairScorer(tiny_pair_model, cache=False)
    agrees = bool(scorer.predict((rows[1], rows[0])) >= max(scorer.threshold, 0.8))
    output, report = tmp_path / "out.jsonl", tmp_path / "report.jsonl"
    run(
        *("dedup", "-i", tmp_path / "rows.jsonl", "-o", output, "-m", tiny_model, "-t", 0.999),
        *("--confirm", tiny_pair_model, "--report", report),
    )
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert lines[0]["refused"] == (0 if agrees else 1)
    kinds = [line["kind"] for line in lines if "kind" in line]
    assert kinds == (["semantic"] if agrees else ["refused"])
    assert len(output.read_text().splitlines()) == (2 if agrees else 3)


def test_the_encoder_is_loaded_once_for_both(
    tmp_path: Path, tiny_model: Path, tiny_pair_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = with_cosine(tiny_pair_model, tiny_model, tmp_path / "judge")
    source, loads = tmp_path / "texts.jsonl", 0
    texts = ["Shop window lights", "Shop window lìghts", "The committee met on Monday in March"]
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))

    def counted(*arguments: Any) -> Encoder:
        nonlocal loads
        loads += 1
        return load_encoder(*arguments)

    monkeypatch.setattr(embedder, "load_encoder", counted)
    run("pairs", "-i", source, "-m", tiny_model, "--pair-model", judge)
    assert loads == 1


def test_a_refused_link_leaves_the_others() -> None:
    vectors = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1]], np.float32)
    plain = deduplicate(vectors, threshold=0.97)
    assert plain.kept.tolist() == [0, 3]
    result, refused = plain.confirm(lambda asked: np.array([p.partner != 0 for p in asked]))
    assert result.kept.tolist() == [0, 1, 3]  # 2 now goes for 1
    assert {(pair.row, pair.partner) for pair in refused} == {(1, 0), (2, 0)}
    nobody, _ = plain.confirm(lambda asked: np.zeros(len(asked), np.bool_))
    assert nobody.kept.tolist() == [0, 1, 2, 3]
