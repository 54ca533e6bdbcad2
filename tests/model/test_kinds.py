"""Folders of other kinds of models: refused in a sentence that says what takes them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edge_embed.embedder import Embedder
from edge_embed.errors import ModelFormatError
from edge_embed.model.config import ModelConfig
from edge_embed.model.kinds import is_pair_model
from edge_embed_conversion.sources import resolve_source

EXTRA = "config_sentence_transformers.json"


def folder_with(folder: Path, **documents: object) -> Path:
    """Write JSON files, named without their ending."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def modules(*kinds: str) -> list[dict[str, str]]:
    return [{"type": f"sentence_transformers.models.{kind}", "path": ""} for kind in kinds]


def refusals(folder: Path) -> list[str]:
    """Return what the runtime and a conversion say of a folder."""
    said = []
    for take in (Embedder, lambda folder: resolve_source(str(folder))):
        with pytest.raises(ModelFormatError) as refused:
            take(folder)
        said.append(str(refused.value))
    return said


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ({EXTRA[:-5]: {"model_type": "SparseEncoder"}}, "SparseEncoder runs this one"),
        ({"modules": modules("Transformer", "SpladePooling")}, "a sparse encoder"),
        ({"modules": modules("MLMTransformer", "SpladePooling")}, "take a dense encoder"),
        ({"modules": modules("Transformer", "Pooling", "SparseAutoEncoder")}, "a sparse encoder"),
        ({EXTRA[:-5]: {"model_type": "MultiVectorEncoder"}}, "PyLate runs this one"),
        ({"config": {"architectures": ["HF_ColBERT"]}}, "late interaction"),
        ({"modules": modules("Transformer", "MultiVectorMask")}, "a vector for each token"),
        ({EXTRA[:-5]: {"model_type": "CrossEncoder"}}, "a sequence classifier"),
        ({"modules": modules("CLIPModel")}, "take an encoder of texts"),
        ({"modules": modules("BoW", "Dense")}, "a model of whole words"),
        ({"modules": modules("WordEmbeddings", "Pooling")}, "a model of whole words"),
        ({"modules": modules("Transformer", "WeightedLayerPooling")}, "several layers"),
        ({"modules": modules("Transformer", "Mystery")}, "the module 'Mystery', which edge_embed"),
    ],
)
def test_other_kinds_are_refused_with_a_remedy(
    tmp_path: Path, documents: dict[str, Any], message: str
) -> None:
    for said in refusals(folder_with(tmp_path / "model", **documents)):
        assert message in said
        assert "\n" not in said


def test_a_cross_encoder_is_no_embedding_model(tmp_path: Path) -> None:
    config = {"architectures": ["BertForSequenceClassification"]}
    folder = folder_with(tmp_path / "model", config=config)
    assert is_pair_model(folder)
    with pytest.raises(ModelFormatError, match="PairScorer, 'edge-embed pairs --pair-model'"):
        Embedder(folder)


def test_the_hub_caches_folder_names_its_snapshot(tmp_path: Path) -> None:
    folder = tmp_path / "models--someone--model"
    for commit in ("aaaa", "bbbb"):
        (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("aaaa")
    for said in refusals(folder):
        assert said.endswith(f"give the snapshot in it, {folder / 'snapshots' / 'aaaa'}")


def test_a_folder_around_a_model_names_it(tmp_path: Path, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "all" / "mine")
    with pytest.raises(ModelFormatError, match=f"give {tmp_path / 'all' / 'mine'}"):
        Embedder(tmp_path / "all")


def test_a_transformer_alone_names_the_conversion(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "model", config={"architectures": ["BertModel"]})
    with pytest.raises(ModelFormatError, match=r"convert .*model -o DIR --pooling MODE' makes"):
        Embedder(folder)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"transformer_task": "fill-mask"}, "transformer_task to 'fill-mask'"),
        ({"module_output_name": "sentence_embedding"}, "module_output_name"),
        ({"query_length": 32}, "query_length to 32"),
        ({"modality_config": {"image": {}}}, "modality_config"),
        ({"modality_config": {"text": {"method_output_name": "pooler_output"}}}, "pooler_output"),
        ({"processing_kwargs": {"text": {"add_special_tokens": False}}}, "add_special_tokens"),
    ],
)
def test_settings_that_change_vectors_are_not_passed_over(
    tmp_path: Path, tiny_model: Path, settings: dict[str, Any], name: str
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    file = folder / "sentence_bert_config.json"
    usual = json.loads(file.read_text())
    file.write_text(json.dumps(usual | settings))
    with pytest.raises(ModelFormatError, match=name):
        ModelConfig.from_folder(folder)


def test_settings_of_a_new_release_are_read(tmp_path: Path, tiny_model: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    text = {"method": "forward", "method_output_name": "last_hidden_state"}
    settings = {
        "transformer_task": "feature-extraction",
        "modality_config": {"text": text},
        "module_output_name": "token_embeddings",
        "processing_kwargs": {"text": {"padding": True}},
    }
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings))
    assert ModelConfig.from_folder(folder).dim == 32
