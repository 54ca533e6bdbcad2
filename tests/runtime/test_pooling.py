"""Pooling in the graph against sentence-transformers' Pooling module, in both layouts.

The 'transformer' here looks its states up in a table, so what is tested is pooling alone.
"""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from edge_embed.errors import ModelFormatError
from edge_embed.model.config import ModelConfig, PoolingMode
from edge_embed.runtime.graph import build_graph
from edge_embed.runtime.packing_proof import packing_fault
from edge_embed.runtime.planner import BatchPlanner

HIDDEN = 6
POSITIONS = 40
TABLE = np.random.default_rng(0).normal(size=(50, HIDDEN)).astype(np.float32)
IDS = [np.random.default_rng(n).integers(0, 50, size=n) for n in (7, 4, 2, 1, 13)]
PROMPT = 1


def lookup_model(hidden: int = HIDDEN, places: np.ndarray | None = None) -> ov.Model:
    """Return a model whose token state is a row of a table, with the inputs of a transformer.

    An attention whose value is not used and a position table of zeros give packing what it looks
    for; their effect on the states is nil. ``places`` is another position table.
    """
    ids, mask = (
        ops.parameter([-1, -1], np.int64, name=name) for name in ("input_ids", "attention_mask")
    )
    for parameter in (ids, mask):
        parameter.output(0).set_names({parameter.get_friendly_name()})
    states = ops.gather(ops.constant(TABLE[:, :hidden]), ids, np.int64(0))
    if places is None:
        places = np.zeros((POSITIONS, hidden), np.float32)
    width = ops.gather(ops.shape_of(ids), np.int64(1), np.int64(0))
    numbers = ops.range(np.int64(0), width, np.int64(1), output_type="i64")
    position = ops.gather(ops.constant(places), ops.unsqueeze(numbers, np.int64(0)), np.int64(0))
    states = ops.add(states, position)
    heads = ops.unsqueeze(states, np.int64(1))
    allowed = ops.convert(ops.unsqueeze(mask, ops.constant(np.array([1, 2]))), "boolean")
    attended = ops.scaled_dot_product_attention(heads, heads, heads, allowed)
    nothing = ops.multiply(ops.squeeze(attended, np.int64(1)), np.float32(0))
    return ov.Model([ops.add(states, nothing)], [ids, mask], "lookup")


def config(**changes: Any) -> ModelConfig:
    values: dict[str, Any] = {
        "folder": Path("model"),
        "model_type": "lookup",
        "hidden_size": HIDDEN,
        "pooling": ("mean",),
        "include_prompt": True,
        "head": (),
        "max_seq_length": 16,
        "first_position": 0,
        "position_table": POSITIONS,
        "pad_token_id": 0,
        "lowercase": False,
    }
    return ModelConfig(**{**values, **changes})


def embed(settings: ModelConfig, ids: list[np.ndarray], *, packed: bool) -> np.ndarray:
    graph = build_graph(lookup_model(), settings, packed=packed)
    assert graph.packed == packed, graph.why_not_packed
    compiled = ov.Core().compile_model(graph.model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [port.get_any_name() for port in compiled.inputs]
    out = np.full((len(ids), settings.dim), np.nan, np.float32)
    planner = BatchPlanner(max_length=16, pad_id=0, packed=packed)
    prompt_length = 0 if settings.include_prompt else PROMPT
    for batch in planner.plan(ids, prompt_length=prompt_length):
        result = compiled({name: batch.inputs[name] for name in names})["sentence_embedding"]
        out[batch.texts] = result.reshape(-1, settings.dim)[batch.slots]
    return out


def reference(
    modes: tuple[PoolingMode, ...], ids: list[np.ndarray], *, include_prompt: bool = True
) -> np.ndarray:
    torch = pytest.importorskip("torch", reason="needs torch for the comparison")
    modules = pytest.importorskip(
        "sentence_transformers.sentence_transformer.modules",
        reason="needs sentence-transformers for the comparison",
    )
    pooling = modules.Pooling(HIDDEN, pooling_mode=modes, include_prompt=include_prompt)
    width = max(len(text) for text in ids)
    features = {
        "token_embeddings": torch.stack(
            [torch.from_numpy(np.pad(TABLE[t], ((0, width - len(t)), (0, 0)))) for t in ids]
        ),
        "attention_mask": torch.tensor([[1] * len(t) + [0] * (width - len(t)) for t in ids]),
        "prompt_length": PROMPT,
    }
    return np.asarray(pooling(features)["sentence_embedding"])


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "padded"])
@pytest.mark.parametrize("mode", get_args(PoolingMode))
def test_each_mode(mode: PoolingMode, packed: bool) -> None:
    actual = embed(config(pooling=(mode,)), IDS, packed=packed)
    np.testing.assert_allclose(actual, reference((mode,), IDS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", get_args(PoolingMode))
def test_each_mode_without_the_prompt(mode: PoolingMode) -> None:
    ids = [text for text in IDS if len(text) > PROMPT]  # of a prompt alone nothing is left to pool
    actual = embed(config(pooling=(mode,), include_prompt=False), ids, packed=False)
    expected = reference((mode,), ids, include_prompt=False)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "padded"])
def test_an_unknown_mode_is_never_taken_for_another(packed: bool) -> None:
    unknown: Any = ("median",)
    with pytest.raises(ModelFormatError, match="unknown pooling mode 'median': known are cls"):
        build_graph(lookup_model(), config(pooling=unknown), packed=packed)


def test_an_excluded_prompt_is_not_packed() -> None:
    graph = build_graph(lookup_model(), config(include_prompt=False))
    assert not graph.packed
    assert "prompt" in graph.why_not_packed


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "padded"])
def test_several_modes_are_concatenated(packed: bool) -> None:
    modes: tuple[PoolingMode, ...] = ("cls", "max", "mean")
    actual = embed(config(pooling=modes), IDS, packed=packed)
    assert actual.shape == (len(IDS), 3 * HIDDEN)
    np.testing.assert_allclose(actual, reference(modes, IDS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "padded"])
def test_normalize(packed: bool) -> None:
    plain = embed(config(), IDS, packed=packed)
    unit = embed(config(head=("normalize",)), IDS, packed=packed)
    np.testing.assert_allclose(
        unit, plain / np.linalg.norm(plain, axis=1, keepdims=True), rtol=1e-5
    )


def test_positions_of_a_table_that_is_not_known_are_found_out() -> None:
    """Without a table of the size that config.json says, positions may be relative, or may not."""
    places = np.random.default_rng(1).normal(size=(POSITIONS, HIDDEN)).astype(np.float32)
    for settings, fault in ((config(), ""), (config(position_table=99), "would see each other")):
        graph = build_graph(lookup_model(places=places), settings)
        assert graph.packed
        compiled = ov.Core().compile_model(graph.model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = packing_fault(compiled, settings, exact=True)
        assert fault in found if fault else not found


def test_a_width_that_differs_from_the_configuration_is_refused() -> None:
    with pytest.raises(ModelFormatError, match="4 dimensions"):
        build_graph(lookup_model(hidden=4), config())


def test_a_model_without_token_states_is_refused() -> None:
    ids = ops.parameter([-1, -1], np.int64, name="input_ids")
    mask = ops.parameter([-1, -1], np.int64, name="attention_mask")
    with pytest.raises(ModelFormatError, match="no token states"):
        build_graph(ov.Model([ops.add(ids, mask)], [ids, mask], "flat"), config())


def test_a_model_with_other_inputs_is_refused() -> None:
    pixels = ops.parameter([-1, -1, 3], np.float32, name="pixels")
    with pytest.raises(ModelFormatError, match="input_ids"):
        build_graph(ov.Model([ops.relu(pixels)], [pixels], "vision"), config())
