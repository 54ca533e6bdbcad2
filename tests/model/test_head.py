"""What follows pooling: each module against sentence-transformers', in numpy and in the graph."""

import inspect
import json
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from edge_embed.errors import ModelFormatError
from edge_embed.model.activations import ACTIVATIONS, activation_name
from edge_embed.model.dense import DenseLayer
from edge_embed.model.layer_norm import LayerNorm
from edge_embed.model.modules import HeadStep, read_head
from edge_embed.runtime.head import ACTIVATION_NODES, apply_head

torch = pytest.importorskip("torch", reason="needs torch")
modules = pytest.importorskip(
    "sentence_transformers.sentence_transformer.modules", reason="needs sentence-transformers"
)

VECTORS = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32) * 3


def theirs(module: object, vectors: np.ndarray = VECTORS) -> np.ndarray:
    """Run a module of sentence-transformers on vectors."""
    features = {"sentence_embedding": torch.from_numpy(vectors.copy())}
    with torch.inference_mode():
        output: np.ndarray = module(features)["sentence_embedding"].numpy()  # type: ignore[operator]
    return output


def in_graph(step: HeadStep) -> np.ndarray:
    """Run a step in the graph, on vectors as slots of one row."""
    parameter = ops.parameter([1, -1, 8], np.float32)
    model = ov.Model([ops.result(apply_head(parameter, (step,), None))], [parameter])
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.asarray(compiled(VECTORS[None])[0][0])


def check(module: object, step: DenseLayer | LayerNorm) -> None:
    truth = theirs(module)
    np.testing.assert_allclose(step.apply(VECTORS), truth, atol=2e-6, rtol=1e-5)
    np.testing.assert_allclose(in_graph(step), truth, atol=2e-5, rtol=1e-5)


def test_every_activation_is_torchs() -> None:
    assert ACTIVATIONS.keys() == ACTIVATION_NODES.keys()
    values = np.linspace(-9, 9, 721, dtype=np.float32)
    parameter = ops.parameter([-1], np.float32)
    results = [ops.result(node(parameter)) for node in ACTIVATION_NODES.values()]
    compiled = ov.Core().compile_model(
        ov.Model(results, [parameter]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    outputs = compiled(values)
    for number, (name, function) in enumerate(ACTIVATIONS.items()):
        truth = getattr(torch.nn, name)()(torch.from_numpy(values)).numpy()
        np.testing.assert_allclose(function(values.astype(np.float64)), truth, atol=2e-6)
        np.testing.assert_allclose(outputs[number], truth, atol=2e-5, err_msg=name)


def test_no_activation_of_single_elements_is_missing() -> None:
    # With weights of their own, with noise, or of several elements at once.
    others = {"GLU", "LogSoftmax", "PReLU", "RReLU", "Softmax", "Softmax2d", "Softmin"}
    others |= {"MultiheadAttention", "Threshold"}
    listed = torch.nn.modules.activation.__dict__.items()
    there = {
        name
        for name, kind in listed
        if inspect.isclass(kind)
        and issubclass(kind, torch.nn.Module)
        and kind.__module__ == "torch.nn.modules.activation"
    }
    assert there - others | {"Identity"} == ACTIVATIONS.keys()


@pytest.mark.parametrize("name", ["mine.Tanh", "torch.nn.Softmax", "torch.tanh", "GELU", "None"])
def test_another_activation_is_refused_by_name(name: str) -> None:
    with pytest.raises(ModelFormatError, match=f"the activation '{name}'; supported are torch's"):
        activation_name(name, "config.json")


@pytest.mark.parametrize("out", [8, 3])
@pytest.mark.parametrize("residual", [True, False], ids=["residual", "plain"])
def test_dense(tmp_path: Path, out: int, residual: bool) -> None:
    module = modules.Dense(8, out, activation_function=torch.nn.GELU(), use_residual=residual)
    module.save(str(tmp_path))
    check(module, DenseLayer.from_folder(tmp_path))


def test_layer_norm(tmp_path: Path) -> None:
    module = modules.LayerNorm(8)
    torch.nn.init.normal_(module.norm.weight)
    torch.nn.init.normal_(module.norm.bias)
    module.save(str(tmp_path))
    check(module, LayerNorm.from_folder(tmp_path))


def test_a_layer_norm_that_does_not_fit_is_named(tmp_path: Path) -> None:
    modules.LayerNorm(8).save(str(tmp_path))
    with pytest.raises(ModelFormatError, match="takes 8 dimensions, the step before it gives 32"):
        read_head([("LayerNorm", tmp_path)], 32)
    (tmp_path / "config.json").write_text(json.dumps({"dimension": 4}))
    with pytest.raises(ModelFormatError, match=r"holds no norm\.weight of shape \(4,\)"):
        LayerNorm.from_folder(tmp_path).weights()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelFormatError, match="does not say its dimension"):
        LayerNorm.from_folder(tmp_path)


def test_normalize_of_token_states_is_refused(tmp_path: Path) -> None:
    modules.Normalize("token_embeddings").save(str(tmp_path))
    with pytest.raises(ModelFormatError, match="normalizes the sentence embedding alone"):
        read_head([("Normalize", tmp_path)], 32)
