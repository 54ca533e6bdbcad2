"""The steps after pooling, in the graph: layers, normalisation, and truncation of dimensions.

To add an activation, add a function here and one in :mod:`edge_embed.model.activations`.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from edge_embed.model.dense import DenseLayer
from edge_embed.model.layer_norm import EPSILON, LayerNorm
from edge_embed.model.modules import HeadStep

__all__ = ["ACTIVATION_NODES", "apply_head"]


def apply_head(embedding: ov.Node, head: Sequence[HeadStep], keep: int | None) -> ov.Node:
    """Apply the steps after pooling to (rows, slots, width), and keep the first dimensions.

    Args:
        embedding: Float (rows, slots, width).
        head: The steps, in order.
        keep: How many dimensions to keep; None keeps all.

    Returns:
        Float (rows, slots, dim).
    """
    for step in head:
        if isinstance(step, DenseLayer):
            embedding = _dense(embedding, step)
        elif isinstance(step, LayerNorm):
            embedding = _layer_norm(embedding, step)
        else:
            embedding = _unit_length(embedding)
    return embedding if keep is None else _first_dimensions(embedding, keep)


def _dense(embedding: ov.Node, layer: DenseLayer) -> ov.Node:
    weights = layer.weights()
    output = ops.matmul(embedding, ops.constant(weights.weight), False, True)
    if weights.bias is not None:
        output = ops.add(output, ops.constant(weights.bias))
    output = ACTIVATION_NODES[layer.activation](output)
    if not layer.residual:
        return output
    if weights.residual is not None:
        embedding = ops.matmul(embedding, ops.constant(weights.residual), False, True)
    return ops.add(output, embedding)


def _layer_norm(embedding: ov.Node, layer: LayerNorm) -> ov.Node:
    scale, shift = layer.weights()
    normed = ops.mvn(embedding, _axis(), True, EPSILON, "INSIDE_SQRT")
    return ops.add(ops.multiply(normed, ops.constant(scale)), ops.constant(shift))


def _unit_length(embedding: ov.Node) -> ov.Node:
    return ops.normalize_l2(embedding, _axis(), eps=1e-24, eps_mode="max")


def _first_dimensions(embedding: ov.Node, count: int) -> ov.Node:
    start, stop, step, axis = (ops.constant(np.array([n], np.int64)) for n in (0, count, 1, 2))
    return ops.slice(embedding, start, stop, step, axis)


def _axis() -> ov.Node:
    """Return the axis of the dimensions."""
    return ops.constant(np.array([2], np.int64))


def _number(value: float) -> ov.Node:
    return ops.constant(np.float32(value))


def _elu(x: ov.Node) -> ov.Node:
    below = ops.minimum(ops.subtract(ops.exp(x), _number(1)), _number(0))
    return ops.add(ops.relu(x), below)


def _hard_shrink(x: ov.Node) -> ov.Node:
    return ops.select(ops.greater(ops.abs(x), _number(0.5)), x, _number(0))


def _soft_shrink(x: ov.Node) -> ov.Node:
    beyond = ops.subtract(ops.abs(x), _number(0.5))
    return ops.multiply(ops.sign(x), ops.maximum(beyond, _number(0)))


ACTIVATION_NODES: Mapping[str, Callable[[ov.Node], ov.Node]] = {
    "CELU": _elu,
    "ELU": _elu,
    "GELU": lambda x: ops.gelu(x, "ERF"),
    "Hardshrink": _hard_shrink,
    "Hardsigmoid": lambda x: ops.hsigmoid(x),
    "Hardswish": lambda x: ops.hswish(x),
    "Hardtanh": lambda x: ops.clamp(x, -1.0, 1.0),
    "Identity": lambda x: x,
    "LeakyReLU": lambda x: ops.prelu(x, _number(0.01)),
    "LogSigmoid": lambda x: ops.negative(ops.softplus(ops.negative(x))),
    "Mish": lambda x: ops.mish(x),
    "ReLU": lambda x: ops.relu(x),
    "ReLU6": lambda x: ops.clamp(x, 0.0, 6.0),
    "SELU": lambda x: ops.selu(x, np.float32(1.6732632), np.float32(1.0507010)),
    "SiLU": lambda x: ops.swish(x),
    "Sigmoid": lambda x: ops.sigmoid(x),
    "Softplus": lambda x: ops.softplus(x),
    "Softshrink": _soft_shrink,
    "Softsign": lambda x: ops.softsign(x),
    "Tanh": lambda x: ops.tanh(x),
    "Tanhshrink": lambda x: ops.subtract(x, ops.tanh(x)),
}
"""Name of torch's class of an activation to the function that adds its nodes."""
