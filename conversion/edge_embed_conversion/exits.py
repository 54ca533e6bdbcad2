"""Find where each layer of an encoder ends in its graph, so that the runtime can stop there.

A model that was trained with exits gives usable vectors after fewer layers. A checkpoint says so in
``exits.json`` (``{"layers": [2, 3]}``); the converted folder's file names the node of the graph at
which each exit reads the token states. Nodes are found by their values, not by their names, so
architectures whose layers are one (ALBERT) need no table of their own.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openvino as ov

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.model.config import EXITS_FILE
from edge_embed.model.json_files import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["EXITS_FILE", "find_exits", "stated_exits"]

_TOKENS = 12
_TOLERANCE = 1e-3


def stated_exits(folder: Path) -> tuple[int, ...]:
    """Return the layers after which the checkpoint in ``folder`` was trained to end, ascending.

    Raises:
        ModelFormatError: the file is damaged.
    """
    layers = read_json(folder / EXITS_FILE, optional=True).get("layers", [])
    if not isinstance(layers, list) or not all(isinstance(n, int) and n > 0 for n in layers):
        raise ModelFormatError(f"{folder / EXITS_FILE} does not list its layers as numbers above 0")
    return tuple(sorted(set(layers)))


def find_exits(
    model: ov.Model, checkpoint: "PreTrainedModel", layers: Iterable[int]
) -> dict[int, str]:
    """Return the name of the node that gives the token states after each of ``layers``.

    Args:
        model: the FP32 graph of ``checkpoint``.
        checkpoint: the encoder in torch.
        layers: how many layers each exit computes.

    Raises:
        InputError: the encoder has not that many layers, or an exit is its last.
        ModelFormatError: the graph does not compute the states of a layer as one node.
    """
    import torch

    asked = sorted(set(layers))
    generator = np.random.default_rng(0)
    ids = generator.integers(5, min(checkpoint.config.vocab_size, 1000), (1, _TOKENS))
    tensor = torch.from_numpy(ids)
    with torch.inference_mode():
        states = checkpoint(
            input_ids=tensor, attention_mask=torch.ones_like(tensor), output_hidden_states=True
        ).hidden_states
    last = len(states) - 1
    wrong = [layer for layer in asked if not 0 < layer < last]
    if wrong:
        raise InputError(
            f"an exit after {wrong[0]} layers: the model has {last}; give 1 to {last - 1}"
        )
    hidden = states[0].shape[-1]
    candidates = [node for node in model.get_ordered_ops() if _gives_states(node, hidden)]
    names = [node.get_friendly_name() for node in candidates]
    # Every candidate is read in one pass of a copy; what the copy computes is thrown away.
    probe = ov.Model(
        [node.output(0) for node in candidates], model.get_parameters(), "layer_states"
    )
    compiled = ov.Core().compile_model(probe.clone(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    every = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    values = compiled({name: every[name] for port in compiled.inputs for name in port.get_names()})
    found: dict[int, str] = {}
    for layer in asked:
        truth = states[layer].numpy()
        for number, name in enumerate(names):
            if np.abs(values[number] - truth).max() < _TOLERANCE:
                found[layer] = name
                break
        else:
            raise ModelFormatError(
                f"the graph has no node with the states after layer {layer}: leave the exit out"
            )
    return found


def _gives_states(node: ov.Node, hidden: int) -> bool:
    if node.get_type_name() in ("Constant", "Parameter", "Result") or len(node.outputs()) != 1:
        return False
    shape = node.output(0).get_partial_shape()
    return bool(
        node.output(0).get_element_type() == ov.Type.f32
        and shape.rank.is_static
        and shape.rank.get_length() == 3
        and shape[2].is_static
        and shape[2].get_length() == hidden
    )
