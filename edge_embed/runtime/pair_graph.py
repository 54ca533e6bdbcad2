"""The graph of a pair model (cross-encoder), changed to take packed rows of several pairs.

Such a model computes its outputs from the state of each row's first token. If that step is found
in the graph, it is replaced by the first token of each pair of a packed row, and the following
steps compute (rows, slots, outputs). Otherwise each pair has a row of its own.
"""

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.model.config import ModelConfig
from edge_embed.runtime.embedding_tables import embedding_tables, keep_tables_compressed
from edge_embed.runtime.graph import Graph
from edge_embed.runtime.graph_inputs import check_inputs, packed_inputs, padded_inputs
from edge_embed.runtime.packing import CannotPackError
from edge_embed.runtime.pooling import pool

__all__ = ["TOKEN_TYPES", "build_pair_graph"]

TOKEN_TYPES = "token_type_ids"  # noqa: S105 - no password
"""The input that tells which text of its pair a token belongs to; not all models have it."""


def build_pair_graph(
    model: ov.Model, config: ModelConfig, *, packed: bool = True, layers: int | None = None
) -> Graph:
    """Turn a sequence classifier into a model that outputs ``logits``, float32 (rows, slots, dim).

    Its inputs are those of :func:`~edge_embed.runtime.graph.build_graph`, and :data:`TOKEN_TYPES`
    if the model has it. ``model`` is changed and must not be used afterwards.

    Raises:
        InputError: an early exit was asked for, which pair models do not have.
        ModelFormatError: the graph does not fit the folder's configuration.
    """
    if layers is not None:
        raise InputError(f"{config.folder} reads pairs: it ends after its last layer only")
    check_inputs(model, config)
    tables = embedding_tables(model)
    _logits(model, config)
    why_not = "" if packed else "padded rows were asked for"
    if packed:
        attempt = model.clone()
        try:
            return Graph(_packed(attempt, config), packed=True, tables=tables)
        except CannotPackError as error:
            why_not = str(error)
    parameters, _, _ = padded_inputs(model, config)
    logits = ops.convert(_logits(model, config).get_source_output(), np.float32)
    result = ops.result(ops.unsqueeze(logits, np.int64(1)))
    return Graph(_finished(result, model, parameters), False, why_not, tables)


def _packed(model: ov.Model, config: ModelConfig) -> ov.Model:
    first = _first_token(model)
    states = ops.convert(first.input_value(0), np.float32)
    readers = list(first.output(0).get_target_inputs())
    parameters, members, positions = packed_inputs(model, config)
    pooled = pool("cls", states, members, positions)
    for port in readers:
        port.replace_source_output(pooled.output(0))
    source = model.outputs[0].get_node().input(0).get_source_output()
    finished = _finished(ops.result(ops.convert(source, np.float32)), model, parameters)
    shape = finished.outputs[0].get_partial_shape()
    if shape.rank != 3 or shape[2] != config.dim:
        raise CannotPackError(f"its outputs have the shape {shape} with several texts a row")
    return finished


def _finished(result: ov.Node, model: ov.Model, parameters: list[ov.Node]) -> ov.Model:
    kept = [model.input("input_ids").get_node(), *parameters]
    kept += [p.get_node() for p in model.inputs if TOKEN_TYPES in p.get_names()]
    result.output(0).set_names({"logits"})
    finished = ov.Model([result], kept, "pairs")
    keep_tables_compressed(finished)
    finished.validate_nodes_and_infer_types()
    return finished


def _first_token(model: ov.Model) -> ov.Node:
    """Return the one node that takes the first token of states (rows, width, hidden).

    Raises:
        CannotPackError: there is none, or there are several.
    """
    found = [node for node in model.get_ordered_ops() if _reads_first(node) and _of_tokens(node)]
    if len(found) != 1:
        raise CannotPackError(f"{len(found)} steps read the first token of each row")
    return found[0]


def _of_tokens(node: ov.Node) -> bool:
    shapes = node.input(0).get_partial_shape(), node.output(0).get_partial_shape()
    return [shape.rank.get_length() if shape.rank.is_static else 0 for shape in shapes] == [3, 2]


def _reads_first(node: ov.Node) -> bool:
    """Return whether a node takes index 0 of axis 1."""
    if node.get_type_name() == "Gather":
        return _constant(node, 1) == [0] and _constant(node, 2) == [1]
    if node.get_type_name() == "StridedSlice":
        begin, end = _constant(node, 1), _constant(node, 2)
        return bool(begin and end and len(begin) > 1 and begin[:2] == [0, 0] and end[1] == 1)
    return False


def _constant(node: ov.Node, number: int) -> list[int] | None:
    source = node.input_value(number).get_node()
    if source.get_type_name() == "Convert":
        source = source.input_value(0).get_node()
    if source.get_type_name() != "Constant":
        return None
    return [int(value) for value in np.atleast_1d(source.get_data()).reshape(-1)]


def _logits(model: ov.Model, config: ModelConfig) -> ov.Input:
    """Return the input of the result (rows, outputs), and check its width against the folder."""
    for output in model.outputs:
        shape = output.get_partial_shape()
        if shape.rank.is_static and shape.rank.get_length() == 2:
            if shape[1].is_static and shape[1].get_length() != config.dim:
                raise ModelFormatError(
                    f"{config.folder}: the model gives {shape[1].get_length()} numbers a pair, its "
                    f"config.json names {config.dim} labels"
                )
            return output.get_node().input(0)
    raise ModelFormatError(
        f"{config.folder}: the model gives no (pairs, labels); export it again for "
        "text classification"
    )
