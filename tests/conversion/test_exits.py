"""Exits: layers are found in the graph by value, and it runs without those that matter least."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
import pytest

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.model.config import ModelConfig
from edge_embed.model.exits import Exit, read_exits
from edge_embed.runtime.graph import build_graph, read_ir
from edge_embed_conversion.checkpoint import load_checkpoint
from edge_embed_conversion.convert import convert
from edge_embed_conversion.exits import VectorsWith, choose_exits, find_states

STATES = ["words", "first", "second", "third"]
IDS = np.array([[2, 7, 9, 11, 3]])


def vectors_of(costs: Sequence[float]) -> VectorsWith:
    """Texts' vectors that each left-out layer turns by its cost."""
    generator = np.random.default_rng(0)
    whole: npt.NDArray[np.float32] = generator.normal(size=(30, 8)).astype(np.float32)
    noise: npt.NDArray[np.float32] = generator.normal(size=(30, 8)).astype(np.float32)

    def vectors_with(exit_: Exit | None) -> npt.NDArray[np.float32]:
        if exit_ is None:
            return whole
        left_out = set(range(STATES.index(exit_.end), 4)) if exit_.end else set()
        for start, stop in exit_.bypasses:
            left_out |= set(range(STATES.index(start), STATES.index(stop)))
        turned = sum(costs[layer] for layer in left_out)
        vectors: npt.NDArray[np.float32] = whole + np.float32(turned) * noise
        return vectors

    return vectors_with


@pytest.mark.parametrize(
    ("costs", "layers", "expected"),
    [
        ([1, 0.1, 0.2, 2], 3, Exit(bypasses=(("first", "second"),))),
        ([1, 0.1, 0.2, 2], 2, Exit(bypasses=(("first", "third"),))),
        ([0.1, 2, 0.2, 2], 2, Exit(bypasses=(("words", "first"), ("second", "third")))),
        ([1, 2, 0.2, 0.1], 2, Exit(end="second")),
        ([0.1, 2, 1, 0.1], 2, Exit(end="third", bypasses=(("words", "first"),))),
        ([1, 1, 1, 1], 1, Exit(end="first")),
    ],
)
def test_the_layers_that_matter_least_are_left_out(
    costs: list[float], layers: int, expected: Exit
) -> None:
    chosen = choose_exits(STATES, [layers], vectors_of(costs))
    assert list(chosen) == [layers]
    assert (chosen[layers].end, chosen[layers].bypasses) == (expected.end, expected.bypasses)
    assert 0 < (chosen[layers].agreement or 0) < 1


@pytest.mark.parametrize("kind", ["bert", "albert"])
@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_a_shorter_pass_gives_the_states_of_a_model_without_those_layers(
    kind: str,
    variant: str,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    import torch

    source: Path = request.getfixturevalue(f"tiny_{kind}_source")
    folder = tmp_path_factory.getbasetemp() / f"exits-{kind}"
    if not folder.is_dir():
        convert(source, folder, exits=[1])
    config = ModelConfig.from_folder(folder)
    assert list(config.exits) == [1]
    core = ov.Core()
    file = config.variant_file(variant)[1]
    graph = build_graph(read_ir(core, file), config, packed=False, layers=1)
    compiled = core.compile_model(graph.model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ours = compiled({"input_ids": IDS, "attention_mask": np.ones_like(IDS)})[0].reshape(-1)
    checkpoint: Any = load_checkpoint(source)
    if kind == "albert":  # its layers are one
        checkpoint.config.num_hidden_layers = 1
    else:
        del checkpoint.encoder.layer[1 if config.exits[1].end else 0]
    with torch.inference_mode():
        states = checkpoint(input_ids=torch.from_numpy(IDS)).last_hidden_state
    truth = states[0].numpy().mean(axis=0)
    cosine = ours @ truth / np.linalg.norm(ours) / np.linalg.norm(truth)
    assert cosine > (0.99999 if variant == "fp32" else 0.95)


def test_a_bypass_runs_the_graph_without_the_layer(tiny_bert_source: Path, tmp_path: Path) -> None:
    import torch

    convert(tiny_bert_source, tmp_path / "out", precision="fp32", exits=[1])
    config = ModelConfig.from_folder(tmp_path / "out")
    core = ov.Core()
    file = config.variant_file("fp32")[1]
    checkpoint: Any = load_checkpoint(tiny_bert_source)
    words, first = find_states(read_ir(core, file), checkpoint)
    entry = Exit(bypasses=((words, first),)).as_json()
    (tmp_path / "out" / "exits.json").write_text(json.dumps({"exits": {"1": entry}}))
    with pytest.raises(ModelFormatError, match="not of the conversion that"):
        build_graph(read_ir(core, file), config, layers=1)
    (tmp_path / "out" / "edge_embed.json").unlink()
    config = ModelConfig.from_folder(tmp_path / "out")
    graph = build_graph(read_ir(core, file), config, layers=1)
    assert graph.packed
    graph = build_graph(read_ir(core, file), config, packed=False, layers=1)
    compiled = core.compile_model(graph.model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ours = compiled({"input_ids": IDS, "attention_mask": np.ones_like(IDS)})[0].reshape(-1)
    del checkpoint.encoder.layer[0]
    with torch.inference_mode():
        truth = checkpoint(input_ids=torch.from_numpy(IDS)).last_hidden_state[0].numpy().mean(0)
    assert np.allclose(ours, truth / np.linalg.norm(truth), atol=1e-5)


@pytest.mark.parametrize("layers", [0, 2])
def test_an_exit_of_all_layers_or_none_is_refused(
    layers: int, tiny_bert_source: Path, tmp_path: Path
) -> None:
    message = f"an exit of {layers} layers: the model has 2; give 1 to 1"
    with pytest.raises(InputError, match=message):
        convert(tiny_bert_source, tmp_path / "out", precision="fp32", exits=[layers])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("entry", [[], {}, {"end": 3}, {"bypasses": [["one"]]}, "name"])
def test_a_damaged_file_is_named(tmp_path: Path, entry: object) -> None:
    (tmp_path / "exits.json").write_text(json.dumps({"exits": {"3": entry}}))
    with pytest.raises(ModelFormatError, match=r"exits.json does not say .* convert the model"):
        read_exits(tmp_path)


def test_a_folder_without_the_exit_says_which_it_has(
    tiny_bert_source: Path, tmp_path: Path
) -> None:
    convert(tiny_bert_source, tmp_path / "out", precision="fp32", exits=[1])
    config = ModelConfig.from_folder(tmp_path / "out")
    model = read_ir(ov.Core(), config.variant_file("fp32")[1])
    with pytest.raises(InputError, match="no exit of 5 layers; it may run with 1"):
        build_graph(model, config, layers=5)
