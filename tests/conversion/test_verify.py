"""Verification: hashes against the receipt, tokens and vectors against the source."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edge_embed.embedder import Embedder
from edge_embed.errors import EdgeEmbedError, InputError, ModelFormatError, ModelNotFoundError
from edge_embed.model.config import ModelConfig
from edge_embed.model.dense import save_dense
from edge_embed.runtime.tokenizer import Tokenizer
from edge_embed_conversion.parity import REPEATED_KIND, Sample, Truth, runtime_vectors, samples_of
from edge_embed_conversion.pipeline import Pipeline, Vectors
from edge_embed_conversion.verify import Verification, _check_texts, verify

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


@pytest.mark.parametrize(("floor", "status"), [(0.8, "passed"), (0.9999, "failed")])
def test_one_word_repeated_is_judged_where_nothing_is_rounded(
    tiny_model: Path, floor: float, status: str
) -> None:
    embedder = Embedder(tiny_model, variant="fp32", cache=False)
    samples = (Sample("an ordinary text", "one"), Sample(REPEATED_KIND, "two " * 9))
    vectors = embedder.encode([sample.text for sample in samples])
    far = np.asarray([vectors[0], -vectors[1]])
    truth = Truth(samples, far, (False, False))
    assert _check_texts("int8", embedder, truth, floor=floor, by="it").status == status


def test_a_sound_folder(tiny_model: Path, tiny_bert_source: Path) -> None:
    result = verify(tiny_model, against=str(tiny_bert_source))
    assert result.passed
    assert statuses(result) == dict.fromkeys(
        ("files", "tokenizer", "int8", "fp32", "int8 texts", "fp32 texts"), "passed"
    )
    assert "same file" in detail(result, "tokenizer")
    int8, fp32 = result.checks[2].fidelity, result.checks[3].fidelity
    assert int8 is not None
    assert fp32 is not None
    assert int8.cosine_mean < fp32.cosine_mean
    kinds = result.checks[5].kinds
    assert kinds is not None
    assert {"an ordinary text", "an empty text", "odd characters", "a text over the limit"} <= {
        *kinds
    }
    assert min(figures.cosine_min for figures in kinds.values()) > 0.99999
    assert kinds["one word repeated"].texts == 1
    assert "one word repeated" in detail(result, "int8 texts")
    assert detail(result, "int8 texts").count("(not judged)") == 1
    assert "(not judged)" not in detail(result, "fp32 texts")


def test_albert_against_its_source(tiny_albert: Path, tiny_albert_source: Path) -> None:
    assert verify(tiny_albert, against=str(tiny_albert_source)).passed


@dataclass(frozen=True)
class OtherTokens(Pipeline):
    """sentence-transformers with a tokenizer of its own for some texts."""

    config: ModelConfig
    other: set[str]

    def vectors(self, texts: Sequence[str], *, prompt: str = "") -> Vectors:
        return np.stack([np.full(2, -1.0 if text in self.other else 1.0) for text in texts])

    def vector_of_tokens(self, ids: Sequence[int]) -> Vectors:
        return np.array([7, len(ids)], np.float32)

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        ids = [ids.tolist() for ids in Tokenizer(self.config)(texts).ids]
        return [[0] if text in self.other else own for text, own in zip(texts, ids, strict=True)]

    @property
    def library(self) -> str:
        return "sentence-transformers"


def test_other_tokens_are_named_and_the_rest_is_compared(tiny_model: Path) -> None:
    config = ModelConfig.from_folder(tiny_model)
    samples = [Sample("an ordinary text", "one"), Sample("odd characters", "two")]
    truth = Truth.of(OtherTokens(None, "model", config, {"two"}), config, samples)
    assert truth.otherwise == (False, True)
    assert truth.vectors.tolist() == [[1, 1], [7, 3]]  # [CLS] two [SEP], as tokenizer.json has it
    assert truth.compare(truth.vectors).tokenized_otherwise == ("odd characters",)


def test_a_tokenizer_that_reads_ordinary_texts_otherwise_is_refused(tiny_model: Path) -> None:
    config = ModelConfig.from_folder(tiny_model)
    samples = [Sample("an ordinary text", text) for text in ("one", "two", "three")]
    with pytest.raises(EdgeEmbedError, match="cuts 2 of 3 ordinary texts into other tokens"):
        Truth.of(OtherTokens(None, "model", config, {"one", "two"}), config, samples)


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
        "fp32": "failed",  # refused at load: its receipt describes another graph
        "int8 texts": "passed",
    }


def test_another_model_is_noticed(tiny_model: Path, tiny_albert_source: Path) -> None:
    result = verify(tiny_model, against=str(tiny_albert_source))
    assert [check.status for check in result.checks[1:]] == ["failed"] * 4


def test_a_fault_of_one_kind_of_text_is_noticed(tiny_model: Path, tiny_bert_source: Path) -> None:
    config = ModelConfig.from_folder(tiny_model)
    samples = samples_of(config)
    vectors, _ = runtime_vectors(config, config.variants["fp32"], [s.text for s in samples])
    truth = Truth(tuple(samples), vectors.copy(), (False,) * len(samples))
    assert truth.compare(vectors).same
    empty = next(row for row, sample in enumerate(samples) if sample.kind == "an empty text")
    vectors[empty] = vectors[0]
    found = truth.compare(vectors)
    assert not found.same
    assert found.worst == "an empty text"
    assert found.kinds["an ordinary text"].cosine_min > 0.99999
    vectors[0] = np.nan
    assert truth.compare(vectors).lowest == -1


def test_prompts_are_compared(tmp_path: Path, tiny_model: Path, tiny_bert_source: Path) -> None:
    prompts = {"query": "Represent the query: ", "document": ""}
    folders = [tmp_path / "model", tmp_path / "source"]
    for folder, made_of in zip(folders, (tiny_model, tiny_bert_source), strict=True):
        shutil.copytree(made_of, folder)
        text = json.dumps({"prompts": prompts})
        (folder / "config_sentence_transformers.json").write_text(text, encoding="utf-8")
    (folders[0] / "edge_embed.json").unlink()
    result = verify(folders[0], against=str(folders[1]))
    assert result.passed, result
    assert "the prompt 'query' 1.000000" in detail(result, "fp32 texts")
    assert "the prompt 'document'" not in detail(result, "fp32 texts")


def test_without_modules_sentence_transformers_is_no_yardstick(
    tmp_path: Path, tiny_model: Path, tiny_bert_source: Path
) -> None:
    source = shutil.copytree(tiny_bert_source, tmp_path / "source")
    (source / "modules.json").unlink()
    result = verify(tiny_model, against=str(source))
    assert statuses(result)["pipeline"] == "skipped"
    assert "would guess its pooling" in detail(result, "pipeline")


def test_a_layer_that_no_projection_explains_is_noticed(
    folder: Path, tiny_bert_source: Path
) -> None:
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules.append({"idx": 3, "path": "3_Dense", "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (folder / "3_Dense").mkdir()
    save_dense(folder / "3_Dense", np.eye(32, dtype=np.float32)[::-1].copy(), None)
    result = verify(folder, against=str(tiny_bert_source))
    assert statuses(result)["fp32"] == statuses(result)["fp32 texts"] == "failed"


def test_a_pair_model_has_its_files_checked(tiny_pair_model: Path, tiny_bert_source: Path) -> None:
    assert statuses(verify(tiny_pair_model)) == {"files": "passed"}
    with pytest.raises(InputError, match="reads pairs, and --against compares encoders"):
        verify(tiny_pair_model, against=str(tiny_bert_source))


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
