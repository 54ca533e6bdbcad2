"""Exits: where a layer ends in the graph is found by value, and the graph can end there."""

from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from edge_embed.errors import InputError
from edge_embed.model.config import ModelConfig
from edge_embed.runtime.graph import build_graph, read_ir
from edge_embed_conversion.checkpoint import load_checkpoint
from edge_embed_conversion.convert import convert


@pytest.mark.parametrize("kind", ["bert", "albert"])
@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_an_exit_gives_the_pooled_states_of_its_layer(
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
    ids = np.array([[2, 7, 9, 11, 3]])
    compiled = core.compile_model(graph.model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ours = compiled({"input_ids": ids, "attention_mask": np.ones_like(ids)})[0].reshape(-1)
    with torch.inference_mode():
        states = load_checkpoint(source)(
            input_ids=torch.from_numpy(ids), output_hidden_states=True
        ).hidden_states
    truth = states[1][0].numpy().mean(axis=0)
    if config.normalize:
        truth = truth / np.linalg.norm(truth)
    cosine = ours @ truth / np.linalg.norm(ours) / np.linalg.norm(truth)
    assert cosine > (0.99999 if variant == "fp32" else 0.95)
    whole = states[-1][0].numpy().mean(axis=0)
    assert ours @ whole / np.linalg.norm(ours) / np.linalg.norm(whole) < cosine


def test_an_exit_that_is_no_layer_is_refused(tiny_bert_source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exit after 2 layers: the model has 2; give 1 to 1"):
        convert(tiny_bert_source, tmp_path / "out", precision="fp32", exits=[2])
    assert not (tmp_path / "out").exists()


def test_a_folder_without_the_exit_says_which_it_has(
    tiny_bert_source: Path, tmp_path: Path
) -> None:
    convert(tiny_bert_source, tmp_path / "out", precision="fp32", exits=[1])
    config = ModelConfig.from_folder(tmp_path / "out")
    model = read_ir(ov.Core(), config.variant_file("fp32")[1])
    with pytest.raises(InputError, match="no exit after 5 layers; it may end after 1"):
        build_graph(model, config, layers=5)
