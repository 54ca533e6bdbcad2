"""Several texts side by side in each row of a fixed shape.

Padding is wasted work, and each new input shape costs the engine time and memory for good. Packed,
a few fixed shapes serve every length at a few percent of padding. ``segment_ids`` says which text
of its row a token belongs to (0 is padding), and ``position_ids`` counts from 0 in each text.

It is done on the standard IR in memory: the mask of every attention becomes block-diagonal, and
the position table is read at ``position_ids``. A graph that is not as expected is refused with the
reason, and the caller stays with padded rows.

The idea is known from training: Krell et al. 2021, "Efficient Sequence Packing without
Cross-contamination".
"""

from collections.abc import Iterator

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.utils import replace_node

from edge_embed.model.config import ModelConfig

__all__ = ["CannotPackError", "pack"]

# What an additive mask adds to the score of a token of another text.
_BLOCKED = np.float32(-1e9)


class CannotPackError(Exception):
    """The graph is not one that can be packed; the message says why."""


def pack(
    model: ov.Model, config: ModelConfig, *, segment_ids: ov.Node, position_ids: ov.Node
) -> None:
    """Rewire ``model`` in place so that texts of one row do not see each other.

    Args:
        model: A transformer as exported; nothing reads its ``attention_mask`` afterwards.
        config: Its folder's configuration.
        segment_ids: int64 (rows, width), 0 for padding.
        position_ids: int64 (rows, width), from 0 in each text.

    Raises:
        CannotPackError: the graph is not as expected; ``model`` is unchanged.
    """
    table = _position_table(model, config)
    masks = list(_attention_masks(model))
    if not masks:
        raise CannotPackError("no attention reads the attention mask")

    same_text = ops.equal(
        ops.unsqueeze(segment_ids, np.int64(2)), ops.unsqueeze(segment_ids, np.int64(1))
    )
    allowed = ops.unsqueeze(same_text, np.int64(1))  # (rows, 1, width, width)
    blocked = ops.select(allowed, np.float32(0), _BLOCKED)
    combined: dict[tuple[str, int], ov.Node] = {}
    for port in masks:
        source = port.get_source_output()
        name = (source.get_node().get_friendly_name(), source.get_index())
        if name not in combined:
            boolean = source.get_element_type() == ov.Type.boolean
            if _lets_all_through(source, model, config.max_seq_length):
                combined[name] = allowed if boolean else blocked
            else:  # more than a mask, such as MPNet's bias by distance: keep it
                combined[name] = (
                    ops.logical_and(source, allowed) if boolean else ops.add(source, blocked)
                )
        port.replace_source_output(combined[name].output(0))

    index = position_ids
    if config.first_position:
        index = ops.add(position_ids, np.int64(config.first_position))
    table.input(1).replace_source_output(ops.convert(index, np.int32).output(0))

    # Padding is a text of its own, so that no token is left without one to attend to.
    # The ones depend on the input, since constants here make the engine's folding fail.
    ones = ops.convert(ops.greater_equal(segment_ids, np.int64(0)), np.int64)
    for port in model.input("attention_mask").get_node().output(0).get_target_inputs():
        port.replace_source_output(ones.output(0))


def _attention_masks(model: ov.Model) -> Iterator[ov.Input]:
    """Yield the inputs at which a mask (rows, 1, width, width) meets the attention scores."""
    tokens = _depend_on(model, "input_ids")
    masks = _depend_on(model, "attention_mask") - tokens
    for node in model.get_ordered_ops():
        if node.get_friendly_name() not in tokens:
            continue
        for port in node.inputs():
            source = port.get_source_output()
            if source.get_node().get_friendly_name() not in masks:
                continue
            if source.get_partial_shape().rank != 4:
                continue
            kind = node.get_type_name()
            if kind not in ("ScaledDotProductAttention", "Add"):
                raise CannotPackError(f"an attention mask goes into a {kind}")
            yield port


def _lets_all_through(mask: ov.Output, model: ov.Model, longest: int) -> bool:
    """Say whether a mask hides nothing where there is no padding, by computing it.

    Exported graphs make theirs in dozens of steps; each takes time in every call.
    """
    inputs = [port.get_node() for port in model.inputs]
    steps = ov.Model([ops.result(mask)], inputs, "mask")
    try:
        return not any(_hides(steps, shape) for shape in ((2, 3), (1, longest)))
    except RuntimeError:  # a step that cannot be computed here: keep the mask
        return False


def _hides(steps: ov.Model, shape: tuple[int, int]) -> bool:
    """Compute a mask for tokens (rows, width) without padding: does it hide any?"""
    steps = steps.clone()
    steps.reshape({port: list(shape) for port in steps.inputs})
    for node in steps.get_ordered_ops():
        kind = node.get_type_name()
        if kind == "ShapeOf":  # known here; its input may be the embeddings, which take long
            known = ops.constant(np.array(node.input(0).get_shape(), np.int64))
            replace_node(node, ops.convert(known, node.get_element_type().to_dtype()))
        elif kind == "BitwiseAnd" and node.get_element_type() == ov.Type.boolean:
            # The same of truth values, and one that can be evaluated.
            replace_node(node, ops.logical_and(node.input_value(0), node.input_value(1)))
    values = ov.Tensor(steps.output().get_element_type(), steps.output().get_shape())
    if not steps.evaluate([values], [ov.Tensor(np.ones(shape, np.int64)) for _ in steps.inputs]):
        return True  # not known: as good as hidden
    hidden = ~values.data if values.element_type == ov.Type.boolean else values.data != 0
    return bool(hidden.any())


def _position_table(model: ov.Model, config: ModelConfig) -> ov.Node:
    """Return the Gather that reads the table of position embeddings."""
    if config.position_table is None:
        raise CannotPackError("config.json does not say max_position_embeddings")
    found = []
    for node in model.get_ops():
        if node.get_type_name() == "Gather":
            shape = node.input(0).get_partial_shape()
            if shape.rank == 2 and shape[0] == config.position_table:
                found.append(node)
    if len(found) != 1:
        raise CannotPackError(
            f"{len(found)} tables have {config.position_table} rows, so the position table is "
            "not known"
        )
    return found[0]


def _depend_on(model: ov.Model, name: str) -> set[str]:
    """Return the names of all nodes whose values (not only shapes) depend on an input."""
    found = {model.input(name).get_node().get_friendly_name()}
    for node in model.get_ordered_ops():
        if node.get_type_name() != "ShapeOf" and any(
            port.get_source_output().get_node().get_friendly_name() in found
            for port in node.inputs()
        ):
            found.add(node.get_friendly_name())
    return found
