"""Folders as users have them: where weights lie, in which form, and what lies beside them."""

import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from edge_embed.errors import MissingExtraError, ModelFormatError
from edge_embed_conversion.checkpoint import load_checkpoint
from edge_embed_conversion.layout import copy_tokenizer, write_layout
from edge_embed_conversion.sources import resolve_source
from edge_embed_conversion.weights import WeightsKind

torch = pytest.importorskip("torch", reason="needs torch")


@pytest.fixture
def source(tmp_path: Path, tiny_bert_source: Path) -> Path:
    """A copy of the checkpoint, to be laid out otherwise."""
    return Path(shutil.copytree(tiny_bert_source, tmp_path / "source"))


def weights(file: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(file)


def pickled(folder: Path) -> Path:
    """Weights of the older form alone."""
    torch.save(weights(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def in_shards(folder: Path) -> Path:
    """Weights in two files and an index."""
    from safetensors.torch import save_file

    arrays = weights(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(arrays)
    index: dict[str, str] = {}
    for number, some in enumerate((names[::2], names[1::2]), 1):
        file = f"model-{number:05d}-of-00002.safetensors"
        save_file({name: arrays[name] for name in some}, folder / file, {"format": "pt"})
        index |= dict.fromkeys(some, file)
    text = json.dumps({"metadata": {}, "weight_map": index})
    (folder / "model.safetensors.index.json").write_text(text)
    return folder


def in_half(folder: Path) -> Path:
    """Weights in bfloat16."""
    from safetensors.torch import save_file

    arrays = weights(folder / "model.safetensors")
    halves = {name: array.to(torch.bfloat16) for name, array in arrays.items()}
    save_file(halves, folder / "model.safetensors", {"format": "pt"})
    return folder


def transformer_apart(folder: Path) -> Path:
    """The transformer in a folder of any name, as modules.json says."""
    inner = folder / "transformer"
    inner.mkdir()
    for file in list(folder.iterdir()):
        if file.is_file() and file.name not in ("modules.json", "README.md"):
            shutil.move(file, inner / file.name)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


def linked(folder: Path) -> Path:
    """A snapshot of the hub's cache: links to files named by their hash."""
    blobs = folder.parent / "blobs"
    blobs.mkdir()
    for number, file in enumerate([file for file in folder.rglob("*") if file.is_file()]):
        shutil.move(file, blobs / str(number))
        file.symlink_to(blobs / str(number))
    return folder


def with_onnx_beside(folder: Path) -> Path:
    """An ONNX file of another precision beside the checkpoint."""
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model_qint8_avx512.onnx").write_bytes(b"")
    (folder / "onnx" / "model.onnx").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    "layout",
    [pickled, in_shards, in_half, transformer_apart, linked, with_onnx_beside],
    ids=lambda layout: layout.__name__,
)
def test_every_layout_gives_the_same_checkpoint(
    layout: Callable[[Path], Path], source: Path, tiny_bert_source: Path, tmp_path: Path
) -> None:
    found = resolve_source(str(layout(source)))
    assert found.weights.kind is WeightsKind.CHECKPOINT
    ours = load_checkpoint(found.weights_path.parent).state_dict()
    theirs = load_checkpoint(tiny_bert_source).state_dict()
    assert ours.keys() == theirs.keys()
    tolerance = 1e-2 if layout is in_half else 0
    for name, array in theirs.items():
        assert ours[name].dtype == torch.float32
        assert torch.allclose(ours[name], array, rtol=tolerance, atol=0), name
    target = tmp_path / "target"
    target.mkdir()
    assert write_layout(found.folder, target) == "copied"
    for name in ("tokenizer.json", "config.json", "1_Pooling/config.json"):
        assert (target / name).is_file()
        assert not (target / name).is_symlink()
    assert json.loads((target / "modules.json").read_text())[0]["path"] == ""


def test_a_missing_shard_is_named(source: Path) -> None:
    (in_shards(source) / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelFormatError, match="cannot load the checkpoint") as refused:
        load_checkpoint(resolve_source(str(source)).weights_path.parent)
    assert "\n" not in str(refused.value)


class _Program:
    """A pickle that runs a program when it is read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path(self.file),)  # type: ignore[return-value]


def test_a_pickle_that_is_a_program_is_not_run(source: Path, tmp_path: Path) -> None:
    (source / "model.safetensors").unlink()
    (source / "pytorch_model.bin").write_bytes(pickle.dumps(_Program(tmp_path / "ran")))
    with pytest.raises(ModelFormatError, match="cannot load the checkpoint") as refused:
        load_checkpoint(resolve_source(str(source)).weights_path.parent)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ("tf_model.h5", r"weights of TensorFlow alone \(tf_model.h5\): take a copy of the model"),
        ("flax_model.msgpack", "weights of Flax alone"),
        ("model-Q8_0.gguf", r"weights of llama\.cpp alone"),
        ("onnx/model_quantized.onnx", "model_quantized.onnx is not taken, as it may be quantized"),
        ("checkpoint-500/config.json", "its folder checkpoint-500 may be the model: give that"),
    ],
)
def test_other_forms_of_weights_are_named(source: Path, there: str, message: str) -> None:
    (source / "model.safetensors").unlink()
    (source / there).parent.mkdir(exist_ok=True)
    (source / there).write_text("{}")
    with pytest.raises(ModelFormatError, match=message):
        resolve_source(str(source))


@pytest.mark.parametrize(
    ("kind", "file", "cls"),
    [
        ("t5", "spiece.model", "T5Tokenizer"),
        ("xlm-roberta", "sentencepiece.bpe.model", "XLMRobertaTokenizer"),
    ],
)
def test_a_tokenizer_is_made_of_sentencepiece(
    tmp_path: Path, corpus: list[str], kind: str, file: str, cls: str
) -> None:
    sentencepiece = pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    ids = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1} if kind == "t5" else {}
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=model, vocab_size=500, minloglevel=2, **ids
    )
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / file).write_bytes(model.getvalue())
    (source / "config.json").write_text(json.dumps({"model_type": kind}))
    (source / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": cls}))
    assert copy_tokenizer(source, target).startswith(f"made from {file} by transformers")
    made = tokenizers.Tokenizer.from_file(str(target / "tokenizer.json"))
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    text = "A small cat sat, didn't it?"
    pieces = made.encode(text, add_special_tokens=False).tokens
    assert pieces == theirs.encode(text, out_type=str)


def test_without_sentencepiece_the_extra_is_named(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "tokenizer.json").unlink()
    (source / "spiece.model").write_bytes(b"")
    monkeypatch.setattr("edge_embed_conversion.layout.find_spec", lambda name: None)
    (tmp_path / "target").mkdir()
    with pytest.raises(MissingExtraError, match=r"from spiece\.model needs .*'sentencepiece'"):
        copy_tokenizer(source, tmp_path / "target")
