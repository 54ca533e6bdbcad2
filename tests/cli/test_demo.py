"""``edge-embed demo`` runs with any model, and says what a trained one finds."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_embed.cli import main

TITLES = ("1. Duplicates", "2. Paraphrases", "3. Search", "4. Single queries", "5. Intents")


def test_any_model(tiny_model: Path) -> None:
    result = CliRunner().invoke(main, ["demo", "-m", str(tiny_model)])
    assert result.exit_code == 0, result.output
    places = [result.stdout.index(title) for title in TITLES]
    assert places == sorted(places)
    assert "left out" not in result.stdout


@pytest.mark.real
def test_a_trained_model(minilm: Path) -> None:
    result = CliRunner().invoke(main, ["demo", "-m", str(minilm)])
    assert "like  How do I get a refund?" in result.stdout
    assert "did not go through   <- differ in negation" in result.stdout
    assert "The shop is open from Monday to Saturday" in result.stdout
    assert "Error P42" in result.stdout
    assert "outlier  Do penguins have knees?" in result.stdout
