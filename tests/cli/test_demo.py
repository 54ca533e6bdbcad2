"""``edge-embed demo`` runs with any model, and says what a trained one finds."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_embed import PairScorer
from edge_embed.cli import main

TITLES = ("1. Duplicates", "2. Paraphrases", "3. Search", "4. Single queries", "5. Intents")


def test_any_model(tiny_model: Path) -> None:
    result = CliRunner().invoke(main, ["demo", "-m", str(tiny_model)])
    assert result.exit_code == 0, result.output
    places = [result.stdout.index(title) for title in TITLES]
    assert places == sorted(places)
    assert "left out" not in result.stdout


def test_a_pair_model_is_heard(tiny_model: Path, tiny_pair_model: Path) -> None:
    arguments = ["demo", "-m", str(tiny_model), "--pair-model", str(tiny_pair_model)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.stdout.splitlines() if "did not go through" in line]
    judge = PairScorer(tiny_pair_model, cache=False)
    score = judge.predict([("The payment went through", "The payment did not go through")])[0]
    verdict = "the same" if score >= judge.threshold else "not the same"
    assert f"  {score:.2f} {verdict} " in line


@pytest.mark.real
def test_a_trained_model(minilm: Path) -> None:
    result = CliRunner().invoke(main, ["demo", "-m", str(minilm)])
    assert "like  How do I get a refund?" in result.stdout
    assert "did not go through   <- differ in negation" in result.stdout
    assert "The shop is open from Monday to Saturday" in result.stdout
    assert "Error P42" in result.stdout
    assert "outlier  Do penguins have knees?" in result.stdout
