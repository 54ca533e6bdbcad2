"""Verification: hashes against the receipt, tokens and vectors against the source."""

import json
import shutil
from pathlib import Path

import pytest

from edge_embed.errors import ModelFormatError, ModelNotFoundError
from edge_embed_conversion.verify import Verification, verify

FP32 = "openvino/openvino_model"
INT8 = "openvino/openvino_model_qint8_quantized"


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path) -> Path:
    """A copy of the converted folder, to be damaged."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def statuses(result: Verification) -> dict[str, str]:
    return {check.name: check.status for check in result.checks}


def detail(result: Verification, name: str) -> str:
    return next(check.detail for check in result.checks if check.name == name)


def test_a_sound_folder(tiny_model: Path, tiny_bert_source: Path) -> None:
    result = verify(tiny_model, against=str(tiny_bert_source))
    assert result.passed
    assert statuses(result) == dict.fromkeys(("files", "tokenizer", "int8", "fp32"), "passed")
    assert "same file" in detail(result, "tokenizer")
    int8, fp32 = result.checks[2].fidelity, result.checks[3].fidelity
    assert int8 is not None
    assert fp32 is not None
    assert int8.cosine_mean < fp32.cosine_mean


def test_albert_against_its_source(tiny_albert: Path, tiny_albert_source: Path) -> None:
    assert verify(tiny_albert, against=str(tiny_albert_source)).passed


def test_an_adopted_graph_is_the_yardstick_of_its_copy(tiny_model: Path, folder: Path) -> None:
    assert verify(folder, against=str(tiny_model)).passed


def test_without_a_source_only_the_files_are_checked(tiny_model: Path) -> None:
    assert statuses(verify(tiny_model)) == {"files": "passed"}


def test_a_folder_without_receipt_is_compared_all_the_same(
    folder: Path, tiny_bert_source: Path
) -> None:
    (folder / "edge_embed.json").unlink()
    result = verify(folder, against=str(tiny_bert_source))
    assert result.passed
    assert statuses(result)["files"] == "skipped"


def test_changed_files_are_named(folder: Path) -> None:
    with (folder / f"{INT8}.bin").open("r+b") as file:
        file.write(b"\xff\xff")
    result = verify(folder)
    assert not result.passed
    assert detail(result, "files") == f"{INT8}.bin has changed (its sha256 differs)"


def test_another_tokenizer_is_noticed(folder: Path, tiny_bert_source: Path) -> None:
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["normalizer"]["lowercase"] = False
    path.write_text(json.dumps(document), encoding="utf-8")
    result = verify(folder, against=str(tiny_bert_source))
    assert statuses(result)["tokenizer"] == "failed"
    assert "texts differ, such as" in detail(result, "tokenizer")


def test_another_pooling_is_noticed(folder: Path, tiny_bert_source: Path) -> None:
    path = folder / "1_Pooling" / "config.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document |= {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    path.write_text(json.dumps(document), encoding="utf-8")
    result = verify(folder, against=str(tiny_bert_source))
    assert statuses(result)["fp32"] == "failed"


def test_swapped_weights_are_noticed(folder: Path, tiny_bert_source: Path) -> None:
    for suffix in (".xml", ".bin"):
        shutil.copy(folder / f"{INT8}{suffix}", folder / f"{FP32}{suffix}")
    result = verify(folder, against=str(tiny_bert_source))
    assert statuses(result) == {
        "files": "failed",
        "tokenizer": "passed",
        "int8": "passed",
        "fp32": "failed",
    }


def test_another_model_is_noticed(tiny_model: Path, tiny_albert_source: Path) -> None:
    result = verify(tiny_model, against=str(tiny_albert_source))
    assert [check.status for check in result.checks[1:]] == ["failed"] * 3


def test_nothing_to_verify(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="there is no folder"):
        verify(tmp_path / "nowhere")
    shutil.rmtree(folder / "openvino")
    with pytest.raises(ModelFormatError, match="holds no OpenVINO graph"):
        verify(folder)


@pytest.mark.real
def test_trained_weights(minilm: Path, minilm_source: Path) -> None:
    result = verify(minilm, against=str(minilm_source))
    assert result.passed, result
