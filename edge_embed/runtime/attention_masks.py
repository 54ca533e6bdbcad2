"""Find the attention masks in a transformer's graph, and what they hide."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops
from openvino.utils import replace_node

__all__ = [
    "AttentionMask",
    "attention_masks",
    "computed",
    "keep_each_token_visible",
    "lets_all_through",
]

# Masks for more tokens are not evaluated, as their size is the square of that.
_LONGEST_PROBE = 1024


@dataclass(frozen=True)
class AttentionMask:
    """A node's input at which a mask (rows, 1, width, width) is applied to attention scores."""

    port: ov.Input
    kind: Literal["allows", "hides", "adds", "unknown"]
    """``allows``: true for visible tokens; ``hides``: true for hidden tokens; ``adds``: numbers
    that are added to the scores; ``unknown``: another use."""


def attention_masks(model: ov.Model) -> list[AttentionMask]:
    """Find every input where a mask is applied.

    It has rank 4 and depends on the attention mask but not on the token ids, and its node depends
    on the token ids.
    """
    tokens = _depend_on(model, "input_ids")
    masks = _depend_on(model, "attention_mask") - tokens
    found = []
    for node in model.get_ordered_ops():
        if node.get_friendly_name() not in tokens:
            continue
        for port in node.inputs():
            source = port.get_source_output()
            if source.get_node().get_friendly_name() not in masks:
                continue
            if source.get_partial_shape().rank == 4:
                found.append(AttentionMask(port, _kind(port, tokens)))
    return found


def _kind(port: ov.Input, tokens: set[str]) -> Literal["allows", "hides", "adds", "unknown"]:
    node = port.get_node()
    kind = node.get_type_name()
    if kind in ("ScaledDotProductAttention", "Add"):
        return "allows" if port.get_element_type() == ov.Type.boolean else "adds"
    if kind == "Select" and port.get_index() == 0:
        sides = [node.input_value(i).get_node().get_friendly_name() in tokens for i in (1, 2)]
        if sides == [True, False]:
            return "allows"
        if sides == [False, True]:
            return "hides"
    return "unknown"


def keep_each_token_visible(model: ov.Model, longest: int) -> None:
    """Make every token attend to itself, in place, if a mask hides more than padding.

    With a sliding window, a padding token far from its text attends to no token; its softmax is
    NaN, which spreads to every token in the following layers.

    Args:
        model: The graph.
        longest: The model's token limit.
    """
    width = ops.gather(ops.shape_of(model.input("input_ids")), np.int64(1), np.int64(0))
    place = ops.range(np.int64(0), width, np.int64(1), output_type="i64")
    places = (ops.unsqueeze(place, np.int64(axis)) for axis in (0, 1))
    itself = ops.equal(*places)
    widened: dict[tuple[str, int], ov.Output] = {}
    for mask in attention_masks(model):
        source = mask.port.get_source_output()
        key = (source.get_node().get_friendly_name(), source.get_index())
        if mask.kind != "allows":
            continue
        if key not in widened:
            harmless = lets_all_through(source, model, longest)
            widened[key] = source if harmless else ops.logical_or(source, itself).output(0)
        mask.port.replace_source_output(widened[key])


def lets_all_through(mask: ov.Output, model: ov.Model, longest: int) -> bool:
    """Return whether a mask hides no token of a text without padding, by evaluating it.

    If so, packing can replace it, which saves the dozens of operations that compute it.
    """
    if longest > _LONGEST_PROBE:
        return False
    return not any(_hides(mask, model, shape) for shape in ((2, 3), (1, longest)))


def _hides(mask: ov.Output, model: ov.Model, shape: tuple[int, int]) -> bool:
    """Return whether a mask for tokens of ``shape`` (rows, width) without padding hides any."""
    values = computed(mask, model, np.ones(shape, np.int64))
    if values is None:
        return True  # unknown: assume that it does
    hidden = ~values if values.dtype == bool else values != 0
    return bool(hidden.any())


def computed(
    value: ov.Output, model: ov.Model, tokens: npt.NDArray[np.int64]
) -> npt.NDArray[Any] | None:
    """Evaluate an intermediate value of a graph for texts without padding, on the host.

    Args:
        value: The value.
        model: The graph that it is part of.
        tokens: Given to all of the graph's inputs but the attention mask, int64 (rows, width).

    Returns:
        The value; None if one of its operations cannot be evaluated on the host.
    """
    inputs = [port.get_node() for port in model.inputs]
    try:
        steps = ov.Model([ops.result(value)], inputs, "steps").clone()
        steps.reshape({port: list(tokens.shape) for port in steps.inputs})
        _make_computable(steps)
        given = [
            ov.Tensor(np.ones_like(tokens) if "attention_mask" in port.get_names() else tokens)
            for port in steps.inputs
        ]
        values = ov.Tensor(steps.output().get_element_type(), steps.output().get_shape())
        done = steps.evaluate([values], given)
    except RuntimeError:
        return None
    return np.array(values.data) if done else None


def _make_computable(steps: ov.Model) -> None:
    for node in steps.get_ordered_ops():
        kind = node.get_type_name()
        if kind == "ShapeOf":  # shapes are static here, so its input need not be evaluated
            known = ops.constant(np.array(node.input(0).get_shape(), np.int64))
            replace_node(node, ops.convert(known, node.get_element_type().to_dtype()))
        elif kind == "BitwiseAnd" and node.get_element_type() == ov.Type.boolean:
            # The same for booleans, and it can be evaluated on the host.
            replace_node(node, ops.logical_and(node.input_value(0), node.input_value(1)))


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
