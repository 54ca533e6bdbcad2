"""Sequence packing: several texts in each row of a fixed shape.

Padding is wasted work, and each new input shape costs OpenVINO compilation time, and memory that it
keeps. With packing, a few fixed shapes serve texts of every length at a few percent of padding.
``segment_ids`` tells which text of its row a token belongs to (0 is padding), and ``position_ids``
counts from 0 in each text.

The standard IR is changed in memory: the mask of every attention becomes block-diagonal, and the
position table is indexed by ``position_ids``. Relative positions (rotary embeddings, biases by
distance) do not depend on where in its row a text starts, and stay as they are. A graph of another
form is refused with the reason, and the caller uses padded rows. A graph may mix tokens by other
means than attention; :mod:`edge_embed.runtime.packing_proof` tests for that.

Packing is known from training: Krell et al. 2021, "Efficient Sequence Packing without
Cross-contamination".
"""

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from edge_embed.model.config import ModelConfig
from edge_embed.runtime.attention_masks import (
    AttentionMask,
    attention_masks,
    computed,
    lets_all_through,
)

__all__ = ["CannotPackError", "pack"]

# What an additive mask adds to the score of a token of another text.
_BLOCKED = np.float32(-1e9)


class CannotPackError(Exception):
    """The graph is not one that can be packed; the message says why."""


def pack(
    model: ov.Model, config: ModelConfig, *, segment_ids: ov.Node, position_ids: ov.Node
) -> None:
    """Change ``model``, in place, so that the texts of a row do not attend to each other.

    Args:
        model: A transformer as exported; its input ``attention_mask`` is unused afterwards.
        config: Its folder's configuration.
        segment_ids: int64 (rows, width), 0 for padding.
        position_ids: int64 (rows, width), from 0 in each text.

    Raises:
        CannotPackError: the graph is not as expected; ``model`` is unchanged.
    """
    table = _position_table(model, config)
    masks = attention_masks(model)
    if not masks:
        raise CannotPackError("no attention reads the attention mask")
    for mask in masks:
        if mask.kind == "unknown":
            kind = mask.port.get_node().get_type_name()
            raise CannotPackError(f"an attention mask goes into a {kind}")
    _separate_texts(model, config, masks, segment_ids)
    if table is not None:
        index = _table_rows(model, config, position_ids)
        table.input(1).replace_source_output(ops.convert(index, np.int32).output(0))

    # Padding counts as a text of its own, so that every token attends to at least one.
    # The ones depend on an input, since with constants OpenVINO's constant folding fails.
    ones = ops.convert(ops.greater_equal(segment_ids, np.int64(0)), np.int64)
    for port in model.input("attention_mask").get_node().output(0).get_target_inputs():
        port.replace_source_output(ones.output(0))


def _separate_texts(
    model: ov.Model, config: ModelConfig, masks: list[AttentionMask], segment_ids: ov.Node
) -> None:
    """Hide the tokens of other texts in every attention, in addition to its own mask."""
    same_text = ops.equal(
        ops.unsqueeze(segment_ids, np.int64(2)), ops.unsqueeze(segment_ids, np.int64(1))
    )
    allowed = ops.unsqueeze(same_text, np.int64(1))  # (rows, 1, width, width)
    blocked = ops.select(allowed, np.float32(0), _BLOCKED)
    hidden = ops.logical_not(allowed)
    combined: dict[tuple[str, int, str], ov.Node] = {}
    for mask in masks:
        source = mask.port.get_source_output()
        key = (source.get_node().get_friendly_name(), source.get_index(), mask.kind)
        if key not in combined:
            if mask.kind == "hides":
                combined[key] = ops.logical_or(source, hidden)
            elif lets_all_through(source, model, config.max_seq_length):
                combined[key] = allowed if mask.kind == "allows" else blocked
            elif mask.kind == "allows":
                combined[key] = ops.logical_and(source, allowed)
            else:  # more than a mask, such as MPNet's relative position bias: keep it
                combined[key] = ops.add(source, blocked)
        mask.port.replace_source_output(combined[key].output(0))


def _table_rows(model: ov.Model, config: ModelConfig, position_ids: ov.Node) -> ov.Node:
    """Return the row of the position table for each token, int64 (rows, width).

    RoBERTa-like models give a padding token within a text (``<pad>`` typed by a user) the row of
    the padding id, and do not count it.
    """
    if not config.first_position:
        return position_ids
    padding = np.int64(config.first_position - 1)
    is_padding = ops.equal(model.input("input_ids").get_node(), padding)
    before = ops.cum_sum(ops.convert(is_padding, np.int64), np.int64(1))
    width = ops.gather(ops.shape_of(position_ids), np.int64(1), np.int64(0))
    column = ops.range(np.int64(0), width, np.int64(1), output_type="i64")
    first = ops.subtract(column, position_ids)  # the column of each text's first token
    # A text does not begin with padding, unless it consists of padding only.
    passed = ops.subtract(before, ops.gather_elements(before, first, 1))
    rows = ops.subtract(ops.add(position_ids, np.int64(config.first_position)), passed)
    return ops.select(is_padding, padding, rows)


def _position_table(model: ov.Model, config: ModelConfig) -> ov.Node | None:
    """Return the Gather that reads the position table; None if the model has none.

    Raises:
        CannotPackError: it cannot be told from other tables, or is indexed in another way.
    """
    found = []
    for node in model.get_ops():
        if node.get_type_name() == "Gather":
            table, index = (node.input(i).get_partial_shape() for i in (0, 1))
            if table.rank == 2 and index.rank == 2 and table[0] == config.position_table:
                found.append(node)
    if not found:
        return None
    if len(found) > 1:
        raise CannotPackError(
            f"{len(found)} tables have {config.position_table} rows, so the position table is "
            "not known"
        )
    tokens = np.full((1, 3), config.first_position + 1, np.int64)  # none of them padding
    rows = computed(found[0].input_value(1), model, tokens)
    expected = config.first_position + np.arange(3)
    if rows is not None and not np.array_equal(rows.reshape(-1), expected):
        raise CannotPackError(f"its positions do not begin at row {config.first_position}")
    return found[0]
