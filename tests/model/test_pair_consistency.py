"""A pair model whose files contradict each other is refused when it is loaded, as an encoder is."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edge_embed import PairScorer
from edge_embed.errors import ModelFormatError, ModelNotFoundError
from edge_embed.model.file_names import RECEIPT
from tests.model.test_consistency import change
from tests.support.model_folders import add_word_without_row


@pytest.fixture
def folder(tiny_pair_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_pair_model, tmp_path / "pairs"))


def load(folder: Path, **options: Any) -> PairScorer:
    return PairScorer(folder, threads=1, cache=False, **options)


def test_a_sound_folder_loads_and_knows_its_tables(folder: Path) -> None:
    tables = load(folder, verify=True).engine.tables
    config = json.loads((folder / "config.json").read_text())
    assert tables.words == config["vocab_size"]
    assert tables.positions == config["max_position_embeddings"]
    assert tables.types == config["type_vocab_size"] == 2


def test_words_that_were_added_without_resizing_the_model(folder: Path) -> None:
    rows = add_word_without_row(folder)
    with pytest.raises(ModelFormatError, match=rf"ids up to {rows}, .* up to {rows - 1}"):
        load(folder)


def test_a_tokenizer_with_more_types_than_the_model(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    for part in tokenizer["post_processor"]["pair"]:
        (piece,) = part.values()
        piece["type_id"] *= 2
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / RECEIPT).unlink()  # whose hash would be another
    with pytest.raises(ModelFormatError, match=r"types of tokens up to 2, .* up to 1"):
        load(folder)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"vocab_size": 17}, "vocab_size 17"),
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


def test_a_tokenizer_of_as_many_words(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    words = list(tokenizer["model"]["vocab"])
    special = {token["content"] for token in tokenizer["added_tokens"]}
    plain = [word for word in words if word not in special]
    ids = [tokenizer["model"]["vocab"][word] for word in plain]
    tokenizer["model"]["vocab"] |= dict(zip(plain, reversed(ids), strict=True))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ModelFormatError, match="not the one that the model was converted with"):
        load(folder)


@pytest.mark.parametrize("file", ["tokenizer.json", "config.json", "openvino"])
def test_parts_of_an_encoder(tiny_albert: Path, folder: Path, file: str) -> None:
    source, target = tiny_albert / file, folder / file
    if source.is_dir():
        shutil.rmtree(target)
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
    with pytest.raises(ModelFormatError, match=str(folder)):
        load(folder)


@pytest.mark.parametrize(
    ("ending", "message"), [(".xml", "no OpenVINO model"), (".bin", ".bin is")]
)
def test_a_graph_that_is_missing(folder: Path, ending: str, message: str) -> None:
    (folder / "openvino" / f"openvino_model{ending}").unlink()
    with pytest.raises(ModelFormatError, match=message):
        load(folder)


def test_a_file_that_has_changed_since_the_conversion(folder: Path) -> None:
    weights = folder / "openvino" / "openvino_model.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ModelFormatError, match=r"openvino_model\.bin has changed"):
        load(folder, verify=True)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"encoder": 3, "weight": 6.0, "intercept": -4.3}',
        '{"encoder": "edge-embed-small", "intercept": -4.3}',
        '{"encoder": "edge-embed-small", "weight": "6", "intercept": -4.3}',
        '{"encoder": "edge-embed-small", "weight": true, "intercept": -4.3}',
        '{"encoder": "edge-embed-small", "weight": NaN, "intercept": -4.3}',
        '{"encoder": "edge-embed-small", "weight": 6.0, "intercept": null}',
        '{"encoder": "edge-embed-small", "weight": 6.0, "intercept": 0, "overlap": [0.4, 0.2]}',
        '{"encoder": "edge-embed-small", "weight": 6.0, "intercept": 0, "overlap": [0.2]}',
        '{"encoder": "edge-embed-small", "weight": 6.0, "intercept": 0, "overlap": [0, 2]}',
        '{"encoder": "edge-embed-small", "weight": 6.0, "intercept": 0, "least": 1.5}',
        json.dumps({"encoder": "x" * 100_000, "weight": 6.0, "intercept": -4.3}),
        json.dumps({"encoder": "a\0b", "weight": 6.0, "intercept": -4.3}),
    ],
)
def test_a_damaged_statement_of_the_cosine(folder: Path, content: str) -> None:
    (folder / "cosine.json").write_text(content)
    with pytest.raises((ModelFormatError, ModelNotFoundError), match=r"cosine\.json") as told:
        load(folder)
    assert "\n" not in str(told.value)


def test_an_encoder_that_is_none(folder: Path, tiny_pair_model: Path, tmp_path: Path) -> None:
    share = {"weight": 6.0, "intercept": -4.3}
    empty = tmp_path / "empty"
    empty.mkdir()
    for encoder, error, message in (
        ("no-such-model", ModelNotFoundError, "no model 'no-such-model'"),
        (str(tiny_pair_model), ModelFormatError, "PairScorer"),
        (str(empty), ModelFormatError, "missing"),
    ):
        change(folder / "cosine.json", encoder=encoder, **share)
        with pytest.raises(error, match=rf"cosine\.json names an encoder .*{message}"):
            load(folder)
