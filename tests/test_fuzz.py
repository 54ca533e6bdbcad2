"""A few seconds of random inputs; tests/fuzz.py runs for longer."""

from pathlib import Path

from tests.fuzz import main


def test_random_inputs(tiny_model: Path) -> None:
    outcome = main(seconds=5, seed=7, model=tiny_model)
    assert outcome.fell == []
    assert sum(outcome.tried.values()) > 100
    assert sum(outcome.refused.values()) > 50
