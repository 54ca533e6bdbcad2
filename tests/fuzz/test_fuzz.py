"""A few seconds of random inputs; ``python -m tests.fuzz`` runs for longer."""

import random
import shutil
from pathlib import Path

import pytest

from edge_embed.model.locate import shipped_models
from tests.fuzz.fields import settings_of, walk_fields
from tests.fuzz.files import fuzz_files
from tests.fuzz.graphs import fuzz_graphs
from tests.fuzz.outcome import Outcome
from tests.fuzz.requests import fuzz_requests


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy, beside which files may be made."""
    return shutil.copytree(tiny_model, tmp_path / "model")


def test_files_and_filters(model: Path, tmp_path: Path) -> None:
    outcome = Outcome()
    fuzz_files(outcome, random.Random(7), model, tmp_path, 3)
    assert outcome.fell == []
    assert sum(outcome.tried.values()) > 100
    assert sum(outcome.refused.values()) > 50


def test_requests(model: Path) -> None:
    outcome = Outcome()
    fuzz_requests(outcome, random.Random(7), model, 400)
    assert outcome.fell == []
    assert outcome.tried["request"] == 400 > outcome.refused["request"] > 20


def test_graphs(model: Path) -> None:
    outcome = Outcome()
    fuzz_graphs(outcome, 7, model, 12)
    assert outcome.fell == []
    assert outcome.tried["graph, refused"] > 0
    assert sum(outcome.tried.values()) >= 12


@pytest.mark.parametrize("name", ["edge-embed-small", "edge-embed-tiny"])
def test_a_part_of_the_fields_of_real_settings(name: str, tmp_path: Path) -> None:
    outcome = Outcome()
    # Of a number without divisors in common with the values, so that all of them have their turn.
    walk_fields(outcome, settings_of(shipped_models()[name], tmp_path / "model"), every=37)
    assert outcome.fell == []
    assert outcome.tried["field"] > 100
    assert outcome.refused["field"] > 50
