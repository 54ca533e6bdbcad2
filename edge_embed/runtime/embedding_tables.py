"""The embedding tables of a graph: their numbers of rows, and how INT8 tables stay INT8."""

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.utils import replace_node

from edge_embed.model.consistency import EmbeddingTables

__all__ = ["embedding_tables", "keep_tables_compressed"]

# Values of a table from which the memory saved outweighs the extra multiplication.
_LARGE_TABLE = 1 << 20


def embedding_tables(model: ov.Model) -> EmbeddingTables:
    """Return the numbers of rows of the embedding tables, in an unchanged graph."""
    named = {name: port.get_node() for port in model.inputs for name in port.get_names()}
    words = [gather for gather in _reads_of("input_ids", named) if _table_shape(gather)]
    if not words:
        return EmbeddingTables()
    rows, width = _table_shape(words[0]) or (0, 0)
    types = _reads_of("token_type_ids", named)
    known = {gather.get_friendly_name() for gather in (*words, *types)}
    # Another table of the same width, with more rows than that of token types, is for positions.
    positions = [
        shape[0]
        for gather in model.get_ordered_ops()
        if gather.get_type_name() == "Gather" and gather.get_friendly_name() not in known
        if (shape := _table_shape(gather)) is not None and shape[1] == width and shape[0] > 2
    ]
    rows_of_types = [shape[0] for gather in types if (shape := _table_shape(gather)) is not None]
    return EmbeddingTables(rows, max(positions, default=None), min(rows_of_types, default=None))


def _reads_of(name: str, inputs: dict[str, ov.Node]) -> list[ov.Node]:
    """Return the Gather nodes that are indexed by an input."""
    found: list[ov.Node] = []
    waiting = [inputs[name]] if name in inputs else []
    while waiting:
        for port in waiting.pop().output(0).get_target_inputs():
            node = port.get_node()
            if node.get_type_name() == "Convert":
                waiting.append(node)
            elif node.get_type_name() == "Gather" and port.get_index() == 1:
                found.append(node)
    return found


def _table_shape(gather: ov.Node) -> tuple[int, int] | None:
    """Return rows and width of a Gather's table; None if they are not static."""
    shape = gather.input_value(0).get_partial_shape()
    if shape.rank.is_dynamic or shape.rank.get_length() != 2 or shape.is_dynamic:
        return None
    return shape[0].get_length(), shape[1].get_length()


def keep_tables_compressed(model: ov.Model) -> None:
    """Apply the scales of an INT8 table after its rows are gathered, in place; the result is equal.

    OpenVINO folds constants when it compiles, so otherwise it would keep the whole table as
    float32: 47 instead of 12 MB in all-MiniLM-L6-v2.
    """
    for gather in model.get_ordered_ops():
        table = _compressed_table(gather)
        if table is None:
            continue
        codes, scales = table
        ids, axis = gather.input_value(1), gather.input_value(2)
        values = ops.convert(ops.gather(codes, ids, axis), scales.get_element_type().to_dtype())
        scaled = ops.multiply(values, ops.gather(scales, ids, axis))
        replace_node(gather, scaled)


def _compressed_table(gather: ov.Node) -> tuple[ov.Output, ov.Output] | None:
    """Return codes (rows, width) and scales (rows, 1) if ``gather`` reads a large INT8 table."""

    def source(node: ov.Node, number: int, kind: str) -> ov.Node | None:
        found = node.input_value(number).get_node()
        return found if found.get_type_name() == kind else None

    if gather.get_type_name() != "Gather":
        return None
    axis, product = source(gather, 2, "Constant"), source(gather, 0, "Multiply")
    if axis is None or product is None or axis.get_data().tolist() not in (0, [0]):
        return None
    converted = source(product, 0, "Convert")
    codes = converted and source(converted, 0, "Constant")
    # OpenVINO keeps INT4 as it is, but would make INT8 of it if its rows were gathered first.
    if codes is None or codes.get_element_type() == ov.Type.i4:
        return None
    if len(codes.shape) != 2 or np.prod(codes.shape) < _LARGE_TABLE:
        return None
    scales = product.input_value(1)
    if list(scales.get_partial_shape()) != [codes.shape[0], 1]:
        return None
    return codes.output(0), scales
