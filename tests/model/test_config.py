"""Model folders: what they say is read, what they do not say is not guessed."""

import json
import shutil
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from edge_embed.errors import InputError, ModelFormatError, ModelNotFoundError
from edge_embed.model.config import ModelConfig
from edge_embed.model.locate import resolve_model
from edge_embed.runtime.config import RuntimeConfig


@pytest.fixture
def folder(tiny_bert_source: Path, tmp_path: Path) -> Path:
    target = tmp_path / "model"
    shutil.copytree(tiny_bert_source, target, ignore=shutil.ignore_patterns("*.safetensors"))
    return target


def change(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None removes one."""
    content = json.loads(path.read_text()) if path.exists() else {}
    content |= changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def test_a_complete_folder(folder: Path) -> None:
    config = ModelConfig.from_folder(folder)
    assert config.model_type == "bert"
    assert config.dim == 32
    assert config.pooling == ("mean",)
    assert config.normalize
    assert config.max_seq_length == 128


def test_several_pooling_modes_widen_the_vector(folder: Path) -> None:
    change(folder / "1_Pooling/config.json", pooling_mode_cls_token=True)
    config = ModelConfig.from_folder(folder)
    assert config.pooling == ("cls", "mean")
    assert config.dim == 64


def test_the_newer_form_of_pooling(folder: Path) -> None:
    (folder / "1_Pooling/config.json").write_text(
        json.dumps({"embedding_dimension": 32, "pooling_mode": "lasttoken"})
    )
    assert ModelConfig.from_folder(folder).pooling == ("lasttoken",)


@pytest.mark.parametrize("prompts", [{"query": 5}, ["query: "], {"query": ["q"]}])
def test_prompts_that_are_no_texts_are_refused(folder: Path, prompts: object) -> None:
    change(folder / "config_sentence_transformers.json", prompts=prompts)
    with pytest.raises(ModelFormatError, match="should map names of prompts to texts"):
        ModelConfig.from_folder(folder)


def test_a_prompt_that_is_null_is_none(folder: Path) -> None:
    change(folder / "config_sentence_transformers.json", prompts={"query": None, "passage": "p: "})
    assert ModelConfig.from_folder(folder).prompts == {"query": "", "passage": "p: "}


def test_a_similarity_is_known_or_refused(folder: Path) -> None:
    file = folder / "config_sentence_transformers.json"
    change(file, similarity_fn_name="hamming")
    with pytest.raises(ModelFormatError, match="the similarity 'hamming': known are cosine, dot"):
        ModelConfig.from_folder(folder)
    change(file, similarity_fn_name="dot")
    config = ModelConfig.from_folder(folder)
    unit, plain = (replace(config, head=head) for head in (("normalize",), ()))
    unit.require_cosine("an index")  # of unit vectors the dot product is the cosine
    with pytest.raises(InputError, match=r"an index compares by cosine, .* by dot"):
        plain.require_cosine("an index")
    with pytest.raises(InputError, match="by manhattan"):
        replace(unit, similarity="manhattan").require_cosine("an index")


def test_prompts(folder: Path) -> None:
    change(
        folder / "config_sentence_transformers.json",
        prompts={"query": "q: "},
        default_prompt_name="query",
    )
    config = ModelConfig.from_folder(folder)
    assert config.prompts == {"query": "q: "}
    assert config.default_prompt_name == "query"


def test_token_limits(folder: Path) -> None:
    own, tokenizer = folder / "sentence_bert_config.json", folder / "tokenizer_config.json"
    change(own, max_seq_length=100)
    change(tokenizer, model_max_length=64)
    assert ModelConfig.from_folder(folder).max_seq_length == 100
    change(own, max_seq_length=None)
    assert ModelConfig.from_folder(folder).max_seq_length == 64
    change(tokenizer, model_max_length=1e30)  # how transformers writes "no limit"
    assert ModelConfig.from_folder(folder).max_seq_length == 128
    change(
        folder / "config.json", model_type="roberta", max_position_embeddings=130, pad_token_id=1
    )
    assert ModelConfig.from_folder(folder).max_seq_length == 128
    change(folder / "config.json", max_position_embeddings=None)
    with pytest.raises(ModelFormatError, match="max_seq_length"):
        ModelConfig.from_folder(folder)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("modules.json", [], "names no Transformer"),
        ("modules.json", {"a": 1}, "should list modules"),
        (
            "modules.json",
            [{"type": "sentence_transformers.models.Transformer", "path": ""}],
            "names no Pooling",
        ),
        (
            "modules.json",
            [
                {"type": "sentence_transformers.models.Transformer", "path": ""},
                {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
                {"type": "sentence_transformers.models.LSTM", "path": "2_LSTM"},
            ],
            "'LSTM'",
        ),
        ("1_Pooling/config.json", {"word_embedding_dimension": 32}, "no known pooling mode"),
        ("1_Pooling/config.json", {"pooling_mode": "mean"}, "word_embedding_dimension"),
        ("1_Pooling/config.json", [], "JSON object"),
    ],
)
def test_what_is_not_said_is_not_guessed(
    folder: Path, file: str, changes: Any, message: str
) -> None:
    (folder / file).write_text(json.dumps(changes))
    with pytest.raises(ModelFormatError, match=message) as caught:
        ModelConfig.from_folder(folder)
    assert file in str(caught.value)


@pytest.mark.parametrize("file", ["modules.json", "1_Pooling/config.json", "config.json"])
def test_missing_and_damaged_files_are_named(folder: Path, file: str) -> None:
    (folder / file).write_bytes(b'{"half')
    with pytest.raises(ModelFormatError, match=f"{Path(file).name} is damaged"):
        ModelConfig.from_folder(folder)
    (folder / file).write_bytes(b"\xff\xfe")
    with pytest.raises(ModelFormatError, match=f"{Path(file).name} is damaged"):
        ModelConfig.from_folder(folder)
    (folder / file).unlink()
    with pytest.raises(ModelFormatError, match=f"{Path(file).name} is missing"):
        ModelConfig.from_folder(folder)


def test_variants(folder: Path, tiny_model: Path) -> None:
    config = ModelConfig.from_folder(tiny_model)
    assert list(config.variants) == ["int8", "fp32"]
    assert config.variant_file()[0] == "int8"
    assert config.variant_file("fp32")[1].name == "openvino_model.xml"
    with pytest.raises(ModelFormatError, match="has no variant 'w8'"):
        config.variant_file("w8")
    with pytest.raises(InputError, match="unknown variant 'int4'"):
        config.variant_file("int4")
    with pytest.raises(ModelFormatError, match="edge-embed convert"):
        ModelConfig.from_folder(folder).variant_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hint": "fast"}, "unknown hint"),
        ({"inference_precision": None}, "unknown inference precision"),
        ({"inference_precision": "f8"}, "unknown inference precision"),
        ({"threads": 0}, "threads is 0"),
        ({"streams": -1}, "streams is -1"),
        ({"streams": 3, "threads": 2}, "with 2 threads it can be at most 2"),
    ],
)
def test_runtime_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RuntimeConfig(**options)


def test_names_of_models(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_model(folder) == folder
    assert resolve_model(str(folder)) == folder
    for name in ("no-such-model", "./nowhere", "a/b/c", "/nowhere/at-all"):
        with pytest.raises(ModelNotFoundError, match="no model"):
            resolve_model(name)
    with pytest.raises(ModelNotFoundError, match="is a file"):
        resolve_model(folder / "config.json")


def test_a_hub_id_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelNotFoundError, match=r"'nobody/nothing'.* hub cannot be reached"):
        resolve_model("nobody/nothing")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("custom_st.Transformer", "'custom_st.Transformer', code that comes with the model"),
        ("sentence_transformers.models.Router", "a path for queries and another for documents"),
        ("sentence_transformers.sparse_encoder.modules.SpladePooling", "a sparse encoder"),
        ("sentence_transformers.models.BoW", "a model of whole words"),
    ],
)
def test_other_modules_are_refused_by_name(folder: Path, kind: str, message: str) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = kind
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelFormatError, match=message):
        ModelConfig.from_folder(folder)


def test_the_class_paths_of_every_release_are_known(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "sentence_transformers.base.modules.transformer.Transformer"
    modules.append({"type": "sentence_transformers.models.Dropout", "path": "3_Dropout"})
    (folder / "modules.json").write_text(json.dumps(modules))
    assert ModelConfig.from_folder(folder).head == ("normalize",)


def test_truncate_dim(folder: Path) -> None:
    settings = folder / "config_sentence_transformers.json"
    change(settings, truncate_dim=8)
    config = ModelConfig.from_folder(folder)
    assert config.dim == 8
    assert not config.normalize
    change(settings, truncate_dim=0)
    with pytest.raises(ModelFormatError, match="has the truncate_dim 0"):
        ModelConfig.from_folder(folder)


@pytest.mark.parametrize("error", [TypeError, KeyError, IndexError, AttributeError, ValueError])
def test_a_mirror_that_does_not_answer_as_the_hub(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def snapshot_download(name: str, *, local_files_only: bool, **_: object) -> str:
        raise hub.errors.LocalEntryNotFoundError("none") if local_files_only else error("'type'")

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    with pytest.raises(ModelNotFoundError, match="does not answer as a hub: check HF_ENDPOINT"):
        resolve_model("nobody/nothing")


def test_a_hub_repository_brings_all_that_its_modules_name(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Dense layer's weights come along, and a copy that is not whole is not used."""
    hub = pytest.importorskip("huggingface_hub")
    remote, cache = tmp_path / "remote", tmp_path / "cache"
    shutil.copytree(tiny_model, remote)
    modules = json.loads((remote / "modules.json").read_text())
    modules.append({"idx": 9, "name": "9", "path": "9_Dense", "type": "x.models.Dense"})
    (remote / "modules.json").write_text(json.dumps(modules))
    (remote / "9_Dense").mkdir()
    for name in ("9_Dense/config.json", "9_Dense/model.safetensors", "model.safetensors"):
        (remote / name).write_text("{}")

    def snapshot_download(
        name: str, *, allow_patterns: list[str], local_files_only: bool, **_: object
    ) -> str:
        for file in () if local_files_only else remote.rglob("*"):
            path = file.relative_to(remote)
            if file.is_file() and any(fnmatch(str(path), p) for p in allow_patterns):
                (cache / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, cache / path)
        return str(cache)

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    assert resolve_model("some/model") == cache
    assert (cache / "9_Dense/model.safetensors").is_file()
    assert not (cache / "model.safetensors").exists()
    for lost in ("9_Dense/model.safetensors", "tokenizer.json", "config.json"):
        (cache / lost).unlink()
        resolve_model("some/model")
        assert (cache / lost).is_file()
