"""Dense modules: the file format against its library, the layer against sentence-transformers."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_embed.embedder import Embedder
from edge_embed.errors import ModelFormatError
from edge_embed.model.config import ModelConfig
from edge_embed.model.dense import DenseLayer, read_safetensors, save_dense

RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(8, 32)).astype(np.float32)
BIAS = RNG.normal(size=8).astype(np.float32)
TEXTS = ["A small cat.", "The train to Leeds was cancelled because of snow.", "yes"]


def with_modules(model: Path, folder: Path, *kinds: str) -> Path:
    """Copy a model and list ``kinds`` after its pooling."""
    shutil.copytree(model, folder)
    names = ["Transformer", "Pooling", *kinds]
    paths = ["", "1_Pooling", *(f"{i}_{kind}" for i, kind in enumerate(kinds, 2))]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (name, path) in enumerate(zip(names, paths, strict=True))
    ]
    for path in paths[2:]:
        (folder / path).mkdir(exist_ok=True)
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    return folder


def test_the_library_reads_what_is_written(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy", reason="needs safetensors")
    save_dense(tmp_path, WEIGHT, BIAS)
    theirs = safetensors.load_file(tmp_path / "model.safetensors")
    assert set(theirs) == {"linear.weight", "linear.bias"}
    assert (theirs["linear.weight"] == WEIGHT).all()
    assert (theirs["linear.bias"] == BIAS).all()


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_what_the_library_writes_is_read(tmp_path: Path, dtype: str) -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    library = pytest.importorskip("safetensors.torch", reason="needs safetensors")
    array = torch.from_numpy(WEIGHT).to(getattr(torch, dtype))
    library.save_file({"a": array, "b": array[0].clone()}, tmp_path / "x.safetensors")
    ours = read_safetensors(tmp_path / "x.safetensors")
    assert (ours["a"] == array.float().numpy()).all()
    assert (ours["b"] == array[0].float().numpy()).all()


@pytest.mark.parametrize("activation", ["Identity", "Tanh"])
@pytest.mark.parametrize("bias", [BIAS, None], ids=["bias", "no bias"])
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "padded"])
def test_a_layer_computes_what_sentence_transformers_does(
    tiny_model: Path, tmp_path: Path, activation: str, bias: Any, packed: bool
) -> None:
    from sentence_transformers import SentenceTransformer

    folder = with_modules(tiny_model, tmp_path / "model", "Dense", "Normalize")
    save_dense(folder / "2_Dense", WEIGHT, bias, activation=activation)
    config = ModelConfig.from_folder(folder)
    assert config.dim == 8
    assert config.normalize
    model = Embedder(folder, variant="fp32", cache=False, packed=packed)
    ours = model.encode(TEXTS)
    theirs = SentenceTransformer(
        str(folder),
        backend="openvino",
        model_kwargs={
            "file_name": "openvino/openvino_model.xml",
            "ov_config": {"INFERENCE_PRECISION_HINT": "f32"},
        },
    ).encode(TEXTS)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_two_layers_that_differ_only_in_weights_share_no_cache(
    tiny_model: Path, tmp_path: Path
) -> None:
    vectors = []
    for number in (1, 2):
        folder = with_modules(tiny_model, tmp_path / f"model{number}", "Dense")
        save_dense(folder / "2_Dense", WEIGHT * number, None)
        vectors.append(Embedder(folder, cache=tmp_path / "cache").encode(TEXTS))
    np.testing.assert_allclose(vectors[1], 2 * vectors[0], rtol=1e-3, atol=1e-4)


def test_a_converted_dense_model_is_measured_through_its_layer(
    tiny_bert_source: Path, tmp_path: Path
) -> None:
    from edge_embed_conversion.calibration import TextSet, shipped_texts
    from edge_embed_conversion.convert import convert

    source = with_modules(tiny_bert_source, tmp_path / "source", "Dense", "Normalize")
    save_dense(source / "2_Dense", WEIGHT, BIAS, activation="Tanh")
    few = TextSet("few", shipped_texts("calibration").texts[:8])
    receipt = convert(source, tmp_path / "model", calibration=few)
    measured = receipt.variants["fp32"].fidelity
    assert measured is not None
    assert measured.cosine_min > 0.99999
    assert Embedder(tmp_path / "model", cache=False).encode(TEXTS).shape == (3, 8)


def test_a_pickled_layer_becomes_a_safetensors_file(tiny_bert_source: Path, tmp_path: Path) -> None:
    import torch

    from edge_embed_conversion.layout import write_layout

    source = with_modules(tiny_bert_source, tmp_path / "source", "Dense")
    save_dense(source / "2_Dense", WEIGHT, None)
    (source / "2_Dense" / "model.safetensors").unlink()
    pickled = source / "2_Dense" / "pytorch_model.bin"
    torch.save({"linear.weight": torch.from_numpy(WEIGHT)}, pickled)
    (tmp_path / "folder").mkdir()
    write_layout(source, tmp_path / "folder")
    weights = DenseLayer.from_folder(tmp_path / "folder" / "2_Dense").weights()
    assert (weights.weight == WEIGHT).all()
    assert weights.bias is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation_function": "torch.nn.modules.activation.Softmax"}, "activation 'torch.nn"),
        ({"activation_function": "mine.Tanh"}, "the activation 'mine.Tanh'"),
        ({"in_features": 31}, "takes 31 dimensions, the step before it gives 32"),
        ({"out_features": 0}, "does not say its in_features and out_features"),
        ({"module_input_name": "token_embeddings"}, "on the sentence embedding alone"),
        ({"module_output_name": "other"}, "the output 'other'"),
    ],
)
def test_what_is_not_supported_is_named(
    tiny_model: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    folder = with_modules(tiny_model, tmp_path / "model", "Dense")
    save_dense(folder / "2_Dense", WEIGHT, None)
    path = folder / "2_Dense" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelFormatError, match=message):
        ModelConfig.from_folder(folder)


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    save_dense(tmp_path, WEIGHT, BIAS)
    layer = DenseLayer.from_folder(tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    for content in (b"", whole[:-4], whole[:50], b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(ModelFormatError, match=r"model\.safetensors"):
            layer.weights()
    save_dense(tmp_path, WEIGHT[:4], BIAS[:4])
    with pytest.raises(ModelFormatError, match=r"no linear\.weight of shape \(8, 32\)"):
        layer.weights()
    path.unlink()
    with pytest.raises(ModelFormatError, match="is missing"):
        layer.weights()


def test_modules_out_of_order_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = with_modules(tiny_model, tmp_path / "model", "Pooling")
    with pytest.raises(ModelFormatError, match="then a Pooling, then Dense, LayerNorm and"):
        ModelConfig.from_folder(folder)
