"""Rounding that makes up for its errors: closer products, the same steps and sizes."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_embed.model.config import ModelConfig
from edge_embed_conversion import rounding
from edge_embed_conversion.calibration import TextSet, model_inputs, shipped_texts
from edge_embed_conversion.console import quiet_tools
from edge_embed_conversion.export import read_graph, save_graph
from edge_embed_conversion.quantize import Int8Recipe, ModelInputs, quantize
from edge_embed_conversion.rounding import round_matrix, round_weights

Floats = npt.NDArray[np.float64]


def problem(outputs: int, inputs: int) -> tuple[Floats, Floats, Floats]:
    """A matrix, the size of a step of each row, and inputs whose channels move together."""
    rng = np.random.default_rng(inputs)
    matrix = rng.normal(size=(outputs, inputs))
    mixed = rng.normal(size=(2000, inputs)) @ rng.normal(size=(inputs, inputs))
    return matrix, np.abs(matrix).max(axis=1) / 127, mixed


def error(steps: npt.NDArray[np.int8], matrix: Floats, scale: Floats, inputs: Floats) -> float:
    return float(np.sum((inputs @ (steps * scale[:, None] - matrix).T) ** 2))


# More inputs than a block, and a number that is no multiple of one.
@pytest.mark.parametrize("inputs", [8, 300])
def test_products_come_closer(inputs: int) -> None:
    matrix, scale, seen = problem(16, inputs)
    nearest = np.rint(matrix / scale[:, None]).astype(np.int8)
    rounded = round_matrix(matrix, scale, seen.T @ seen)
    assert rounded.shape == matrix.shape
    assert error(rounded, matrix, scale, seen) < 0.7 * error(nearest, matrix, scale, seen)


def test_channels_that_do_not_move_together_are_rounded_to_the_nearest() -> None:
    matrix, scale, _ = problem(4, 20)
    nearest = np.rint(matrix / scale[:, None])
    np.testing.assert_array_equal(round_matrix(matrix, scale, np.diag(np.arange(1.0, 21))), nearest)


@given(
    arrays(np.float64, (3, 7), elements=st.floats(-100, 100)),
    arrays(np.float64, (5, 7), elements=st.floats(-10, 10)),
    st.sampled_from([63, 127]),
)
def test_steps_stay_within_the_limit(matrix: Floats, seen: Floats, limit: int) -> None:
    moment = seen.T @ seen + np.eye(7)
    steps = round_matrix(matrix, np.full(3, 0.1), moment, limit=limit)
    assert np.abs(steps.astype(int)).max() <= limit


@pytest.fixture(scope="module")
def samples(tiny_model: Path) -> list[ModelInputs]:
    texts = TextSet("few", shipped_texts("calibration").texts[:60])
    names = frozenset({"input_ids", "attention_mask", "token_type_ids"})
    return model_inputs(ModelConfig.from_folder(tiny_model), texts, names)


def states(graph: ov.Model, samples: list[ModelInputs]) -> npt.NDArray[np.float32]:
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled(sample)[0][0] for sample in samples])


def with_true_activations(graph: ov.Model) -> ov.Model:
    """Leave the rounding of weights as the only error."""
    graph = graph.clone()
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "FakeQuantize":
            for port in node.output(0).get_target_inputs():
                port.replace_source_output(node.input_value(0))
    return graph


def quantized(graph: ov.Model, samples: list[ModelInputs], *, compensate: bool) -> ov.Model:
    recipe = Int8Recipe(equalize=False, compensate_rounding=compensate)
    with quiet_tools():
        return quantize(graph, samples, recipe=recipe, progress=False)


@pytest.mark.parametrize("folder", ["tiny_model", "tiny_albert"])
def test_a_graph_keeps_its_size_and_comes_closer_to_its_source(
    folder: str, request: pytest.FixtureRequest, samples: list[ModelInputs], tmp_path: Path
) -> None:
    graph = read_graph(request.getfixturevalue(folder) / "openvino" / "openvino_model.xml")
    truth = states(graph, samples)
    sizes, errors = [], []
    for compensate in (False, True):
        int8 = quantized(graph, samples, compensate=compensate)
        file = tmp_path / f"{compensate}.xml"
        save_graph(int8, file)
        sizes.append(file.with_suffix(".bin").stat().st_size)
        errors.append(float(np.mean((states(with_true_activations(int8), samples) - truth) ** 2)))
    assert sizes[0] == sizes[1]
    # Random layers that share a weight give it inputs of as many kinds: nothing is to be gained.
    if folder == "tiny_model":
        assert errors[1] < 0.9 * errors[0]


def test_many_layers_take_several_passes(
    tiny_model: Path, samples: list[ModelInputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = read_graph(tiny_model / "openvino" / "openvino_model.xml")
    int8 = quantized(graph, samples, compensate=False)
    once, often = int8.clone(), int8.clone()
    count = round_weights(once, graph, samples)
    monkeypatch.setattr(rounding, "_MOMENT_BYTES", 1)
    assert round_weights(often, graph, samples) == count > 1
    # A later pass sees what an earlier one has changed, so the results are alike, not the same.
    np.testing.assert_allclose(states(often, samples), states(once, samples), atol=0.2)


def test_products_with_the_same_input_share_its_moments(
    tiny_model: Path, samples: list[ModelInputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = read_graph(tiny_model / "openvino" / "openvino_model.xml")
    weights = rounding._weights(quantized(graph, samples, compensate=False))
    sizes = {weight.ports: 4 * weight.inputs**2 for weight in weights}
    assert len(weights) == 6 * 2  # query, key, value and three more in each layer
    assert len(sizes) == 4 * 2
    for room, groups in ((0, 1), (-1, 2)):
        monkeypatch.setattr(rounding, "_MOMENT_BYTES", sum(sizes.values()) + room)
        assert len(list(rounding._groups(weights))) == groups


def test_another_graph_is_left_alone(tiny_model: Path, samples: list[ModelInputs]) -> None:
    graph = read_graph(tiny_model / "openvino" / "openvino_model.xml")
    before = states(graph, samples[:3])
    assert round_weights(graph, graph, samples) == 0
    np.testing.assert_array_equal(states(graph, samples[:3]), before)
