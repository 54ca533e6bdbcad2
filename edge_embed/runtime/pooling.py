"""Pooling in the graph: from token states to one vector a text, mode by mode.

The modes are those of sentence-transformers' Pooling module. To add one, add a function to
:data:`_MODES` and its name to :data:`edge_embed.model.config.PoolingMode`.
"""

from collections.abc import Callable, Mapping

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from edge_embed.errors import ModelFormatError
from edge_embed.model.config import PoolingMode

__all__ = ["pool"]

# From states (rows, width, hidden), members and positions to (rows, slots, hidden).
_Pooling = Callable[[ov.Node, ov.Node, ov.Node], ov.Node]


def pool(mode: PoolingMode, states: ov.Node, members: ov.Node, positions: ov.Node) -> ov.Node:
    """Pool token states (rows, width, hidden) to (rows, slots, hidden).

    Args:
        mode: The pooling mode.
        states: Float (rows, width, hidden).
        members: Float (rows, slots, width), 1 where a token belongs to the slot's text and is
            pooled.
        positions: Int (rows, width), counts each text's tokens from 0, those of a prompt included.

    Returns:
        Float (rows, slots, hidden); an empty slot has zeros, except with ``max``.

    Raises:
        ModelFormatError: there is no such mode.
    """
    if mode not in _MODES:
        raise ModelFormatError(f"unknown pooling mode {mode!r}: known are {', '.join(_MODES)}")
    return _MODES[mode](states, members, positions)


def _first(states: ov.Node, members: ov.Node, positions: ov.Node) -> ov.Node:
    return _only(states, members, ops.cum_sum(members, np.int64(2)))


def _last(states: ov.Node, members: ov.Node, positions: ov.Node) -> ov.Node:
    return _only(states, members, ops.cum_sum(members, np.int64(2), reverse=True))


def _only(states: ov.Node, members: ov.Node, rank: ov.Node) -> ov.Node:
    """Take each slot's token whose rank is 1."""
    chosen = ops.convert(ops.equal(rank, np.float32(1)), np.float32)
    return ops.matmul(ops.multiply(members, chosen), states, False, False)


def _mean(states: ov.Node, members: ov.Node, positions: ov.Node) -> ov.Node:
    return ops.divide(_sum(states, members), _count(members))


def _mean_sqrt(states: ov.Node, members: ov.Node, positions: ov.Node) -> ov.Node:
    return ops.divide(_sum(states, members), ops.sqrt(_count(members)))


def _weighted_mean(states: ov.Node, members: ov.Node, positions: ov.Node) -> ov.Node:
    numbers = ops.convert(ops.add(positions, np.int64(1)), np.float32)
    return _mean(states, ops.multiply(members, ops.unsqueeze(numbers, np.int64(1))), positions)


def _sum(states: ov.Node, weights: ov.Node) -> ov.Node:
    return ops.matmul(weights, states, False, False)


def _count(weights: ov.Node) -> ov.Node:
    width_axis = ops.constant(np.array([2], np.int64))
    return ops.maximum(ops.reduce_sum(weights, width_axis, keep_dims=True), np.float32(1e-9))


def _max(states: ov.Node, members: ov.Node, positions: ov.Node) -> ov.Node:
    """Take the maximum over each slot's tokens; tokens without a slot go to an extra one."""
    slots = ops.gather(ops.shape_of(members), np.int64(1), np.int64(0))
    shape = ops.shape_of(states)
    # A token's slot is the row of its 1 in ``members``; without a 1, the extra slot at the end.
    belongs = ops.reduce_max(members, ops.constant(np.array([1], np.int64)), keep_dims=False)
    slot = ops.squeeze(
        ops.topk(members, np.int64(1), 1, "max", "value", stable=True).output(1), np.int64(1)
    )
    slot = ops.select(ops.greater(belongs, np.float32(0)), ops.convert(slot, np.int64), slots)
    index = ops.broadcast(ops.unsqueeze(slot, np.int64(2)), shape)
    rows, hidden = (ops.gather(shape, np.int64(axis), np.int64(0)) for axis in (0, 2))
    first = ops.constant(np.array([0], np.int64))
    extended = ops.concat(
        [
            ops.unsqueeze(rows, first),
            ops.unsqueeze(ops.add(slots, np.int64(1)), first),
            ops.unsqueeze(hidden, first),
        ],
        axis=0,
    )
    lowest = ops.broadcast(ops.constant(np.float32(np.finfo(np.float32).min)), extended)
    maxima = ops.scatter_elements_update(
        lowest, index, states, np.int64(1), reduction="max", use_init_val=True
    )
    return ops.slice(
        maxima,
        first,
        ops.unsqueeze(slots, first),
        ops.constant(np.array([1], np.int64)),
        ops.constant(np.array([1], np.int64)),
    )


_MODES: Mapping[PoolingMode, _Pooling] = {
    "cls": _first,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}
