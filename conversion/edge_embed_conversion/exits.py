"""Choose an encoder's early exits: which layers to skip, and where the layers are in its graph.

A checkpoint that was trained with exits lists them in ``exits.json`` (``{"layers": [2, 3]}``). For
each number of layers, ending early is compared with skipping layers, which a beam search finds
(:mod:`edge_embed_conversion.layer_search`). Nodes of the graph are identified by their values, not
by their names, so that every architecture works without a table of names.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import openvino as ov

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.model.exits import EXITS_FILE, Exit
from edge_embed.model.json_files import read_json
from edge_embed_conversion.layer_search import Kept, LayerSearch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["VectorsWith", "choose_exits", "find_states", "stated_exits"]

VectorsWith = Callable[[Exit | None], npt.NDArray[np.float32]]
"""Embeds a fixed set of texts with an exit, or with all layers for None: float32 (texts, dim)."""

_TOKENS = 12
_TOLERANCE = 1e-3
_SAME = 1e-4
_BEAM_WIDTH = 4


def stated_exits(folder: Path) -> tuple[int, ...]:
    """Return the layers after which the checkpoint in ``folder`` was trained to end, ascending.

    Raises:
        ModelFormatError: the file is damaged.
    """
    layers = read_json(folder / EXITS_FILE, optional=True).get("layers", [])
    if not isinstance(layers, list) or not all(isinstance(n, int) and n > 0 for n in layers):
        raise ModelFormatError(f"{folder / EXITS_FILE} does not list its layers as numbers above 0")
    return tuple(sorted(set(layers)))


def choose_exits(
    states: Sequence[str], layers: Iterable[int], vectors_with: VectorsWith
) -> dict[int, Exit]:
    """Return the exit for each of ``layers``, fewest layers first.

    Args:
        states: The node with the token states before each layer, as many as there are layers.
        layers: How many layers each exit computes.
        vectors_with: Embeds some texts with an exit.

    Raises:
        InputError: a number of layers is below 1, or not below that of the model.
    """
    count = len(states)
    asked = sorted(set(layers))
    for number in asked:
        if not 0 < number < count:
            raise InputError(
                f"an exit of {number} layers: the model has {count}; give 1 to {count - 1}"
            )
    search = LayerSearch(
        count,
        lambda kept: vectors_with(None if len(kept) == count else _exit(kept, states)),
    )
    chosen: dict[int, Exit] = {}
    for best in search.fewer(min(asked, default=count), beam_width=_BEAM_WIDTH):
        number = len(best)
        if number in asked:
            early = tuple(range(number))
            ended, highest = search.agreement(early), search.agreement(best)
            # If all layers share their weights, skipping any of them is the same as ending early.
            kept = early if ended >= highest - _SAME else best
            chosen[number] = replace(_exit(kept, states), agreement=max(ended, highest))
    return dict(sorted(chosen.items()))


def _exit(kept: Kept, states: Sequence[str]) -> Exit:
    """Return the exit that computes the layers ``kept`` (indices from 0)."""
    bypasses = []
    after = 0
    for layer in kept:
        if layer > after:
            bypasses.append((states[after], states[layer]))
        after = layer + 1
    return Exit(end=states[after] if after < len(states) else None, bypasses=tuple(bypasses))


def find_states(model: ov.Model, checkpoint: "PreTrainedModel") -> list[str]:
    """Return the names of the nodes with the token states before each layer.

    Args:
        model: the FP32 graph of ``checkpoint``.
        checkpoint: the encoder in torch.

    Raises:
        ModelFormatError: no node of the graph has the states before a layer.
    """
    import torch

    generator = np.random.default_rng(0)
    ids = generator.integers(5, min(checkpoint.config.vocab_size, 1000), (1, _TOKENS))
    tensor = torch.from_numpy(ids)
    with torch.inference_mode():
        states = checkpoint(
            input_ids=tensor, attention_mask=torch.ones_like(tensor), output_hidden_states=True
        ).hidden_states
    hidden = states[0].shape[-1]
    candidates = [node for node in model.get_ordered_ops() if _gives_states(node, hidden)]
    names = [node.get_friendly_name() for node in candidates]
    # A copy of the graph that outputs every candidate node, so that one inference gives all values.
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
    found = []
    for layer, truth in enumerate(states[:-1]):
        near = (np.abs(value - truth.numpy()).max() < _TOLERANCE for value in values.values())
        name = next((name for name, same in zip(names, near, strict=True) if same), None)
        if name is None:
            raise ModelFormatError(
                f"the graph has no node with the states after layer {layer}: leave --exits out"
            )
        found.append(name)
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
