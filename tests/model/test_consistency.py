"""Files of a model folder that contradict each other are refused when the model is loaded."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edge_embed import Embedder
from edge_embed.errors import ModelFormatError
from edge_embed.model.file_names import PAIR_THRESHOLD, RANGES_FILE, RECEIPT
from edge_embed.model.pair_threshold import PairThreshold
from tests.support.model_folders import add_word_without_row
from tests.support.thresholds import THRESHOLD


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def change(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(content | changes))


def load(folder: Path) -> Embedder:
    return Embedder(folder, threads=1, cache=False)


def test_a_sound_folder_loads_and_knows_its_tables(folder: Path) -> None:
    model = load(folder)
    config = json.loads((folder / "config.json").read_text())
    assert model.engine.tables.words == config["vocab_size"]
    assert model.engine.tables.positions == config["max_position_embeddings"]


def test_words_that_were_added_without_resizing_the_model(folder: Path) -> None:
    rows = add_word_without_row(folder)
    with pytest.raises(ModelFormatError, match=rf"ids up to {rows}, .* up to {rows - 1}"):
        load(folder)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"vocab_size": 17}, "vocab_size 17"),
        ("config.json", {"hidden_size": 48}, "hidden_size 48"),
        ("1_Pooling/config.json", {"word_embedding_dimension": 48}, "48"),
        ("sentence_bert_config.json", {"max_seq_length": 512}, "512"),
    ],
)
def test_configurations_of_another_model(
    folder: Path, file: str, changes: dict[str, Any], message: str
) -> None:
    change(folder / file, **changes)
    if file == "sentence_bert_config.json":  # bounded by config.json's positions otherwise
        change(folder / "config.json", max_position_embeddings=512)
    with pytest.raises(ModelFormatError, match=message):
        load(folder)


@pytest.mark.parametrize("file", ["tokenizer.json", "config.json", "openvino"])
def test_parts_of_another_model(tiny_albert: Path, folder: Path, file: str) -> None:
    source, target = tiny_albert / file, folder / file
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)
    with pytest.raises(ModelFormatError, match=str(folder)):
        load(folder)


@pytest.fixture
def sibling(tiny_model: Path, tmp_path: Path) -> Path:
    """A model of the same shape that was converted from other weights."""
    other = Path(shutil.copytree(tiny_model, tmp_path / "sibling"))
    receipt = json.loads((other / RECEIPT).read_text())
    receipt["source"]["weights_sha256"] = "0" * 64
    (other / RECEIPT).write_text(json.dumps(receipt))
    return other


def test_a_graph_of_another_conversion(folder: Path) -> None:
    graph = load(folder).config.variant_file()[1]
    graph.write_text(graph.read_text() + "\n")
    with pytest.raises(ModelFormatError, match=rf"{graph.name} is not the one that {RECEIPT}"):
        load(folder)
    (folder / RECEIPT).unlink()
    assert load(folder).dim


def test_ranges_that_were_fitted_on_another_model(folder: Path, sibling: Path) -> None:
    model = load(sibling)
    model.fit_ranges(["one", "two words", "three more words"]).save(sibling)
    assert load(sibling).ranges is not None
    shutil.copyfile(sibling / RANGES_FILE, folder / RANGES_FILE)
    with pytest.raises(ModelFormatError, match=r"fitted on another model: run 'edge-embed ranges'"):
        load(folder)


def test_a_threshold_that_was_fitted_on_another_model(folder: Path, sibling: Path) -> None:
    THRESHOLD.save(sibling)
    assert PairThreshold.load(sibling) == THRESHOLD
    shutil.copyfile(sibling / PAIR_THRESHOLD, folder / PAIR_THRESHOLD)
    with pytest.raises(ModelFormatError, match=r"another model: run 'edge-embed eval pairs"):
        PairThreshold.load(folder)
