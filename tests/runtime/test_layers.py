"""An exit is chosen by Embedder(layers=…), --layers, and in a model's name."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edge_embed import Embedder
from edge_embed.cli import main
from edge_embed.errors import InputError
from edge_embed.model.fingerprint import model_fingerprint
from edge_embed_conversion.convert import convert

TEXT = "the payment went through"


@pytest.fixture(scope="module")
def with_exit(tiny_bert_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exit") / "model"
    convert(tiny_bert_source, folder, precision="fp32", exits=[1])
    return folder


def test_an_exit_gives_other_vectors_and_another_fingerprint(with_exit: Path) -> None:
    whole, early = Embedder(with_exit, cache=False), Embedder(with_exit, layers=1, cache=False)
    assert (whole.layers, early.layers) == (None, 1)
    vectors = [model.encode([TEXT], normalize=True)[0] for model in (whole, early)]
    assert vectors[0].shape == vectors[1].shape
    assert vectors[0] @ vectors[1] < 0.999
    assert model_fingerprint(whole) != model_fingerprint(early)


def test_the_command_takes_an_exit_as_an_option_or_in_the_name(with_exit: Path) -> None:
    early = Embedder(with_exit, layers=1, cache=False).encode([TEXT])[0]
    for arguments in (["-m", str(with_exit), "--layers", "1"], ["-m", f"{with_exit}:1"]):
        result = CliRunner().invoke(main, ["embed", "--no-cache", *arguments, TEXT])
        assert result.exit_code == 0, result.output
        assert np.allclose(json.loads(result.stdout)[0]["embedding"], early, atol=1e-4)


def test_an_exit_that_is_not_there_names_those_that_are(with_exit: Path) -> None:
    with pytest.raises(InputError, match="no exit of 5 layers; it may run with 1, or whole"):
        Embedder(with_exit, layers=5, cache=False)
    with pytest.raises(InputError, match="layers is 0; it must be at least 1"):
        Embedder(with_exit, layers=0, cache=False)
