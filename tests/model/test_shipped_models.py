"""The models that ship: what they weigh, what they are, and that they need nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_embed import Embedder, PairScorer
from edge_embed.cli import main
from edge_embed.errors import ModelNotFoundError
from edge_embed.evaluation.sts import StsSet
from edge_embed.model.locate import (
    DEFAULT_MODEL,
    DEFAULT_PAIR_MODEL,
    resolve_model,
    shipped_models,
    shipped_pair_models,
)
from edge_embed.model.receipt import check_files, read_receipt
from tests.golden import check

MEGABYTE = 1_000_000
ALBERT, TINY = "edge-embed-albert", "edge-embed-tiny"
SHIPPED = (DEFAULT_MODEL, ALBERT, TINY)
PAIRS = DEFAULT_PAIR_MODEL

# Any connection, and any import of what a base install lacks, ends the program.
ALONE = """
import sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise SystemExit(f"it wanted the network: {event} {arguments}")
    if event == "import" and arguments[0] in ("torch", "transformers", "nncf", "optimum"):
        raise SystemExit(f"it wanted {arguments[0]}")

sys.addaudithook(watch)
from edge_embed.cli import run
sys.argv = ["edge-embed", "embed", "hello"]
run()
"""


def test_the_default_is_shipped() -> None:
    assert sorted(shipped_models()) == sorted(SHIPPED)
    assert list(shipped_pair_models()) == [PAIRS]
    assert resolve_model(None) == shipped_models()[DEFAULT_MODEL]
    assert Embedder().config.folder == shipped_models()[DEFAULT_MODEL]


def test_a_replaced_model_says_what_is_taken() -> None:
    with pytest.warns(UserWarning, match="edge-embed-albert-mini was replaced by edge-embed-tiny"):
        folder = resolve_model("edge-embed-albert-mini")
    assert folder == shipped_models()[TINY]


def test_a_model_of_the_repository_is_not_looked_for_in_the_hub(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folders = {TINY: shipped_models()[TINY]}
    monkeypatch.setattr("edge_embed.model.locate._shipped_folders", lambda: folders)
    with pytest.raises(ModelNotFoundError, match=r"give the folder models/edge-embed-albert"):
        resolve_model(ALBERT)


def test_nothing_shipped_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_embed.model.locate.shipped_models", dict)
    with pytest.raises(ModelNotFoundError, match="no model ships with this installation"):
        resolve_model(None)


@pytest.mark.parametrize(
    ("name", "most"), [(DEFAULT_MODEL, 17), (ALBERT, 14), (TINY, 9), (PAIRS, 17)]
)
def test_weight(name: str, most: int) -> None:
    folder = {**shipped_models(), **shipped_pair_models()}[name]
    files = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    checkpoint = files.pop(folder / "model.safetensors", 0)
    assert sum(files.values()) < most * MEGABYTE
    assert checkpoint < 46 * MEGABYTE


@pytest.mark.parametrize("name", SHIPPED)
def test_files_and_facts(name: str) -> None:
    folder = shipped_models()[name]
    receipt = read_receipt(folder)
    assert receipt is not None
    assert check_files(folder, receipt) == []
    assert receipt.source.name == name
    model = Embedder(name)
    assert model.card.licence == "apache-2.0"
    assert model.card.languages == ("en",)
    assert model.config.model_type == ("albert" if name == ALBERT else "bert")
    assert model.engine.packed
    assert model.ranges is not None


@pytest.mark.parametrize("name", SHIPPED)
def test_vectors_are_those_of_the_card(name: str) -> None:
    check(name)


def test_the_pair_model_tells_opposites_from_paraphrases() -> None:
    model = PairScorer()
    assert check_files(model.config.folder, read_receipt(model.config.folder)) == []  # type: ignore[arg-type]
    assert model.engine.packed
    assert model.config.cosine is not None
    same = [
        ("How do I reset my password?", "How can I reset my password?"),
        ("She passed the exam.", "She succeeded in the exam."),
    ]
    other = [
        ("The payment went through.", "The payment did not go through."),
        ("The parcel is three days late.", "The parcel is five days late."),
        ("The door is open.", "The door is closed."),
    ]
    assert model.predict(same).min() > model.threshold > model.predict(other).max()


def test_exits_trade_quality_for_speed() -> None:
    texts = ["A dog runs.", "A dog is running.", "How do I reset my password?"]
    whole = Embedder().encode(texts, normalize=True)
    nearer = 0.0
    for layers in (2, 3, 4):
        cosine = float(
            (Embedder(layers=layers).encode(texts, normalize=True) * whole).sum(1).mean()
        )
        assert nearer < cosine < 0.999
        nearer = cosine


def test_it_embeds_without_network_and_torch() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 384


def test_info_says_how_to_get_the_other_model() -> None:
    result = CliRunner().invoke(main, ["info"])
    assert "edge-embed convert sentence-transformers/paraphrase-albert-small-v2" in result.stdout
    assert result.stdout.index(DEFAULT_MODEL)


def test_the_demo_runs_with_it() -> None:
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 0, result.output
    assert "like  How do I get a refund?" in result.stdout
    assert "did not go through   <- differ in negation" in result.stdout
    assert "The shop is open from Monday to Saturday" in result.stdout
    assert "Error P42" in result.stdout


@pytest.mark.real
def test_the_checkpoint_converts_to_what_ships(tmp_path: Path) -> None:
    from edge_embed_conversion.convert import convert

    shipped = shipped_models()[TINY]
    convert(shipped, tmp_path / TINY)
    texts = ["A dog runs.", "How do I reset my password?", "It rained all day in the mountains."]
    made = Embedder(tmp_path / TINY).encode(texts, normalize=True)
    assert (made * Embedder(shipped).encode(texts, normalize=True)).sum(axis=1).min() > 0.999


@pytest.mark.shared
@pytest.mark.parametrize(("name", "least"), [(DEFAULT_MODEL, 86.4), (ALBERT, 84.5), (TINY, 83.0)])
def test_quality_is_what_the_card_says(name: str, least: float, evaluation_data: Path) -> None:
    pairs = StsSet.read(evaluation_data / "stsb" / "dev.tsv")
    vectors = Embedder(name).encode([*pairs.first, *pairs.second])
    assert 100 * pairs.spearman(vectors) >= least
