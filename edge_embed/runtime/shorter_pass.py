"""Change a graph to run an early exit of ``exits.json``."""

import openvino as ov
from openvino import opset13 as ops

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.model.config import ModelConfig
from edge_embed.model.consistency import as_converted, has_receipt
from edge_embed.model.exits import EXITS_FILE
from edge_embed.model.file_names import RECEIPT

__all__ = ["shorten"]


def shorten(model: ov.Model, config: ModelConfig, layers: int) -> ov.Node | None:
    """Remove layers from ``model``, in place; return its new output, or None if that is the same.

    Args:
        model: The graph.
        config: Its folder's configuration, with the exits.
        layers: The number of layers of the exit.

    Raises:
        InputError: the folder has no such exit.
        ModelFormatError: the graph lacks a node that the folder names, or the exits are of
            another model.
    """
    chosen = config.exits.get(layers)
    if chosen is None:
        there = ", ".join(map(str, config.exits))
        raise InputError(
            f"{config.folder} has no exit of {layers} layers; "
            + (f"it may run with {there}, or whole" if there else "it runs whole alone")
        )
    nodes = {node.get_friendly_name(): node for node in model.get_ops()}
    for name in chosen.nodes():
        if name not in nodes:
            raise ModelFormatError(
                f"{config.folder / EXITS_FILE} names {name} for {layers} layers, which the graph "
                "has not: convert the model again"
            )
    # The exits of another model may name nodes that this graph has, too.
    if has_receipt(config.folder) and not as_converted(config.folder, config.folder / EXITS_FILE):
        raise ModelFormatError(
            f"{config.folder / EXITS_FILE} is not of the conversion that {RECEIPT} describes: copy "
            "the model again, or convert it with --exits"
        )
    for start, stop in chosen.bypasses:
        for port in nodes[stop].output(0).get_target_inputs():
            port.replace_source_output(nodes[start].output(0))
    return None if chosen.end is None else ops.result(nodes[chosen.end].output(0))
