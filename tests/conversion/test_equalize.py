"""Levelled value channels: the same function, and INT8 that survives outliers."""

import shutil
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from edge_embed.model.config import ModelConfig
from edge_embed_conversion.calibration import TextSet, model_inputs, shipped_texts
from edge_embed_conversion.console import quiet_tools
from edge_embed_conversion.equalize import ValuePath, equalize_values, scale_values, value_paths
from edge_embed_conversion.export import read_graph, save_graph
from edge_embed_conversion.quantize import Int8Recipe, quantize

FP32 = "openvino/openvino_model.xml"
FACTOR = 50


def states(graph: ov.Model) -> np.ndarray:
    """Return token states of three short texts of random tokens, as one array."""
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ids = np.random.default_rng(0).integers(5, 500, size=(3, 12))
    every = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": ids * 0}
    names = [port.get_any_name() for port in compiled.inputs]
    return np.array(compiled({name: every[name] for name in names})[0])


def spread(path: ValuePath) -> float:
    """Return how much larger the largest value channel is than the median one."""
    lengths = np.linalg.norm(path.value_weight.get_data(), axis=1)
    return float(lengths.max() / np.median(lengths))


def with_outliers(graph: ov.Model) -> ov.Model:
    for path in value_paths(graph):
        factors = np.ones(path.value_weight.get_output_shape(0)[0], np.float32)
        factors[[1, 5]] = FACTOR
        scale_values(path, factors)
    return graph


@pytest.fixture(scope="module")
def biased_albert(tmp_path_factory: pytest.TempPathFactory, tiny_albert_source: Path) -> Path:
    """The tiny ALBERT with biases as training leaves them: each layer's copy is a constant."""
    import torch

    from edge_embed_conversion.checkpoint import load_checkpoint
    from edge_embed_conversion.export import export_checkpoint

    folder = tmp_path_factory.mktemp("models") / "biased-albert"
    shutil.copytree(tiny_albert_source, folder)
    with torch.random.fork_rng(), quiet_tools():
        torch.manual_seed(1)
        model = load_checkpoint(folder)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.2)
        (folder / "openvino").mkdir()
        export_checkpoint(model, folder / FP32)
    return folder


@pytest.fixture(params=["tiny_model", "tiny_albert", "biased_albert"])
def folder(request: pytest.FixtureRequest) -> Path:
    """Two layers of their own, and one layer shared by three, with and without biases."""
    path: Path = request.getfixturevalue(request.param)
    return path


def test_every_attention_is_found_and_shared_ones_once(folder: Path) -> None:
    graph = read_graph(folder / FP32)
    albert = ModelConfig.from_folder(folder).model_type == "albert"
    assert len(value_paths(graph)) == (1 if albert else 2)


def test_scaling_and_levelling_keep_the_function(folder: Path) -> None:
    graph = read_graph(folder / FP32)
    plain = states(graph)
    with_outliers(graph)
    assert spread(value_paths(graph)[0]) > FACTOR / 3
    np.testing.assert_allclose(states(graph), plain, atol=1e-4)
    assert equalize_values(graph) == len(value_paths(graph))
    assert spread(value_paths(graph)[0]) < 5
    np.testing.assert_allclose(states(graph), plain, atol=1e-4)


def test_shared_weights_stay_shared(biased_albert: Path, tmp_path: Path) -> None:
    graph = read_graph(biased_albert / FP32)
    equalize_values(graph)
    save_graph(graph, tmp_path / "levelled.xml")
    before = (biased_albert / FP32).with_suffix(".bin").stat().st_size
    assert (tmp_path / "levelled.bin").stat().st_size <= 1.01 * before


def test_int8_survives_outliers(folder: Path) -> None:
    graph = read_graph(folder / FP32)
    plain = states(graph)
    names = frozenset(port.get_any_name() for port in graph.inputs)
    few = TextSet("few", shipped_texts("calibration").texts[::10])
    samples = model_inputs(ModelConfig.from_folder(folder), few, names)
    with_outliers(graph)
    errors = {}
    for equalize in (False, True):
        with quiet_tools():
            int8 = quantize(graph, samples, recipe=Int8Recipe(equalize=equalize), progress=False)
        errors[equalize] = float(np.linalg.norm(states(int8) - plain) / np.linalg.norm(plain))
    # Where layers have weights of their own, NNCF's SmoothQuant does as much.
    shared = ModelConfig.from_folder(folder).model_type == "albert"
    assert errors[True] < errors[False] / (1.5 if shared else 0.8)
    np.testing.assert_allclose(states(graph), plain, atol=1e-4)  # the graph given is as it was


def test_a_graph_without_attention_is_left_alone() -> None:
    from openvino import opset13 as ops

    parameter = ops.parameter([-1, 4], np.float32)
    product = ops.matmul(parameter, ops.constant(np.eye(4, dtype=np.float32)), False, True)
    assert equalize_values(ov.Model([product], [parameter])) == 0
