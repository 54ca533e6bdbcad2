"""Equalize the ranges of attention's value channels before quantization.

An INT8 activation has one range for all of its channels, so a few value channels that are much
larger than the others leave those only a few of the 256 steps. Attention only averages values over
tokens, so a channel may be divided by any factor in the value projection and multiplied by it in
the output projection: the function stays the same, and the ranges become similar. This is
cross-layer equalization (Nagel et al. 2019, "Data-Free Quantization through Weight Equalization
and Bias Correction"). It changes the weights only, so it costs nothing at run time; it also works
where layers share their weights, which NNCF's SmoothQuant skips.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

__all__ = ["ValuePath", "equalize_values", "replace_constant", "scale_values", "value_paths"]

Floats = npt.NDArray[np.float32]

# Operations allowed between a projection and the attention: they change shapes, not values.
_SHAPE_ONLY = frozenset({"Reshape", "Transpose"})


@dataclass(frozen=True)
class ValuePath:
    """The constants around the values of one attention, or of several that share them."""

    value_weight: ov.Node
    """(channels, inputs)."""
    value_biases: tuple[ov.Node, ...]
    """Any shape with one element a channel. Layers that share a weight may each have a copy."""
    output_weight: ov.Node
    """(outputs, channels)."""


def equalize_values(model: ov.Model) -> int:
    """Equalize the value channels of every attention of ``model``, in place.

    Attentions whose graph has another form are left as they are.

    Returns:
        The number of value projections that were changed; shared weights count once.
    """
    paths = value_paths(model)
    for path in paths:
        values = _array(path.value_weight)
        # An estimate of a channel's range (for inputs of unit variance), and the largest factor
        # that the output projection applies to it.
        spread = np.sqrt(np.sum(values**2, axis=1))
        if path.value_biases:
            spread = spread + np.abs(_array(path.value_biases[0]).reshape(-1))
        gain = np.abs(_array(path.output_weight)).max(axis=0)
        usable = (spread > 0) & (gain > 0)
        factors = np.ones_like(spread)
        factors[usable] = np.sqrt(spread[usable] / gain[usable])
        factors[usable] /= np.exp(np.mean(np.log(factors[usable])))
        scale_values(path, 1 / factors)
    return len(paths)


def scale_values(path: ValuePath, factors: Floats) -> None:
    """Multiply value channels by ``factors`` (channels,), in place.

    The output projection is divided by them, so that the function stays the same.
    """
    column = np.asarray(factors, np.float32)
    replace_constant(path.value_weight, _array(path.value_weight) * column[:, None])
    for constant in path.value_biases:
        bias = _array(constant)
        replace_constant(constant, (bias.reshape(-1) * column).reshape(bias.shape))
    replace_constant(path.output_weight, _array(path.output_weight) / column)


def value_paths(model: ov.Model) -> list[ValuePath]:
    """Find the constants around each attention's values; shared constants appear once.

    Attentions with a constant that another node uses too are left out, as changing it would change
    that node's result.
    """
    found: dict[tuple[str, str], list[tuple[ValuePath, list[ov.Node]]]] = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() != "ScaledDotProductAttention":
            continue
        traced = _trace(node)
        if traced is not None:
            path = traced[0]
            weights = (path.value_weight, path.output_weight)
            names = (weights[0].get_friendly_name(), weights[1].get_friendly_name())
            found.setdefault(names, []).append(traced)
    merged = [(_merged([path for path, _ in members]), members) for members in found.values()]
    return [
        path
        for path, members in merged
        if all(_readers(constant) <= _names(members) for constant in _constants(path))
    ]


def _merged(paths: list[ValuePath]) -> ValuePath:
    """Join the paths of attentions that share their weights: all their biases, each once."""
    biases = {bias.get_friendly_name(): bias for path in paths for bias in path.value_biases}
    return ValuePath(paths[0].value_weight, tuple(biases.values()), paths[0].output_weight)


def _trace(attention: ov.Node) -> tuple[ValuePath, list[ov.Node]] | None:
    """Return the constants around one attention and the nodes that read them."""
    source = attention.input_value(2).get_node()
    while source.get_type_name() in _SHAPE_ONLY and _single_reader(source):
        source = source.input_value(0).get_node()
    biases: tuple[ov.Node, ...] = ()
    readers: list[ov.Node] = []
    if source.get_type_name() == "Add":
        sides = [source.input_value(i).get_node() for i in (0, 1)]
        constants = [side for side in sides if side.get_type_name() == "Constant"]
        products = [side for side in sides if side.get_type_name() == "MatMul"]
        if len(constants) != 1 or len(products) != 1 or not _single_reader(source):
            return None
        biases, readers = (constants[0],), [source]
        source = products[0]
    target = attention
    while _single_reader(target):
        target = next(iter(target.output(0).get_target_inputs())).get_node()
        if target.get_type_name() not in _SHAPE_ONLY:
            break
    weights = [_weight(node) for node in (source, target)]
    if not _single_reader(source) or weights[0] is None or weights[1] is None:
        return None
    path = ValuePath(weights[0], biases, weights[1])
    channels = _array(path.value_weight).shape[0]
    sizes = {_array(path.output_weight).shape[1], channels}
    sizes |= {_array(bias).size for bias in biases}
    return (path, [source, target, *readers]) if sizes == {channels} else None


def _weight(node: ov.Node) -> ov.Node | None:
    """Return the constant matrix (outputs, inputs) of a linear layer, or None."""
    if node.get_type_name() != "MatMul":
        return None
    weight = node.input_value(1).get_node()
    transposed = node.get_attributes()["transpose_b"] and not node.get_attributes()["transpose_a"]
    is_matrix = weight.get_type_name() == "Constant" and len(weight.get_output_shape(0)) == 2
    return weight if transposed and is_matrix else None


def _constants(path: ValuePath) -> Iterator[ov.Node]:
    yield path.value_weight
    yield from path.value_biases
    yield path.output_weight


def _names(members: list[tuple[ValuePath, list[ov.Node]]]) -> set[str]:
    return {node.get_friendly_name() for _, readers in members for node in readers}


def _readers(node: ov.Node) -> set[str]:
    ports = node.output(0).get_target_inputs()
    return {port.get_node().get_friendly_name() for port in ports}


def _single_reader(node: ov.Node) -> bool:
    return len(node.output(0).get_target_inputs()) == 1


def _array(constant: ov.Node) -> Floats:
    return np.asarray(constant.get_data(), np.float32)


def replace_constant(constant: ov.Node, value: npt.NDArray[Any]) -> None:
    """Replace ``constant`` in its graph by ``value``, with the same name and element type."""
    new = ops.constant(value.astype(constant.get_data().dtype))
    new.set_friendly_name(constant.get_friendly_name())
    for port in constant.output(0).get_target_inputs():
        port.replace_source_output(new.output(0))
