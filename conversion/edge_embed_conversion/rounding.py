"""Round INT8 weights so that their errors cancel on real inputs: GPTQ at 8 bits.

NNCF rounds each weight to the nearest step. In the product with an input, the errors of a row add
up, and the channels of real inputs are correlated. So a row is rounded channel by channel, and
after each the weights not rounded yet are corrected for its error on the calibration inputs: GPTQ
(Frantar et al. 2022, https://arxiv.org/abs/2210.17323). The inputs are those of the graph with
quantized activations. Scales and shapes stay the same, so it costs nothing at run time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino.utils.data_helpers.wrappers import OVDict

from edge_embed_conversion.equalize import replace_constant

__all__ = ["round_matrix", "round_weights"]

Floats = npt.NDArray[np.float64]
Inputs = dict[str, npt.NDArray[np.int64]]

# Damping: this share of the mean second moment is added to the diagonal, as in the paper.
_DAMPING = 0.01
_BLOCK = 128
# Memory for second moments; layers that exceed it take another pass over the samples.
_MOMENT_BYTES = 1 << 28
_TOKENS = 1024
_Port = tuple[str, int]
"""The name of a node and the number of its output."""


@dataclass(frozen=True)
class _Weight:
    """An INT8 matrix (outputs, inputs) in a graph: a constant, Convert, and one scale a row."""

    constant: ov.Node
    scale: Floats
    products: tuple[ov.Node, ...]
    """The MatMul nodes that use it; several where layers share it."""

    @property
    def inputs(self) -> int:
        """Number of input channels."""
        return int(self.constant.get_output_shape(0)[1])

    @property
    def ports(self) -> tuple[_Port, ...]:
        """Where the products' inputs come from; query, key and value have the same."""
        read = (product.input_value(0) for product in self.products)
        return tuple(
            sorted({(port.get_node().get_friendly_name(), port.get_index()) for port in read})
        )


def round_weights(int8: ov.Model, source: ov.Model, samples: Iterable[Inputs]) -> int:
    """Round the weights of ``int8`` again, in place.

    Matrices that ``source`` lacks, or whose nodes are not those that NNCF writes, stay as they are.

    Args:
        int8: a graph that NNCF quantized.
        source: the graph it was made from; MatMul nodes are matched by name.
        samples: model inputs, iterated once or more.

    Returns:
        The number of matrices that were rounded.
    """
    truth = {
        node.get_friendly_name(): node
        for node in source.get_ordered_ops()
        if node.get_type_name() == "MatMul"
    }
    weights = [
        weight for weight in _weights(int8) if weight.products[0].get_friendly_name() in truth
    ]
    rounded = 0
    for group in _groups(weights):
        moments = _moments(int8, group, samples)
        for weight in group:
            moment = moments[weight.ports]
            matrix = _constant(truth[weight.products[0].get_friendly_name()].input_value(1))
            steps = np.asarray(weight.constant.get_data(), np.float64)
            if matrix is None or matrix.shape != steps.shape or not moment.any():
                continue
            target = matrix * _folded(steps * weight.scale[:, None], matrix)
            limit = int(np.abs(steps).max())
            rounded_steps = round_matrix(target, weight.scale, moment, limit=limit)
            replace_constant(weight.constant, rounded_steps)
            rounded += 1
    return rounded


def round_matrix(
    matrix: Floats, scale: Floats, moment: npt.NDArray[np.floating], *, limit: int = 127
) -> npt.NDArray[np.int8]:
    """Quantize ``matrix`` so that its product with the inputs stays close to the exact one.

    Args:
        matrix: the exact weights, float64 (outputs, inputs).
        scale: the size of an INT8 step, float64 (outputs,).
        moment: sum of the outer products of inputs, float32 or float64 (inputs, inputs).
        limit: the largest integer.

    Returns:
        int8 (outputs, inputs).
    """
    from scipy.linalg.lapack import dtrtri

    # The channels with the largest inputs are rounded first, while many others can correct them.
    order = np.argsort(-np.diag(moment), kind="stable")
    # Row i of ``upper``: how an error in channel i is distributed over the later channels. It is a
    # Cholesky factor of the inverse moment, and the inverse of one of the moment in reverse.
    reverse = np.ix_(order[::-1], order[::-1])
    damped = moment[reverse].astype(np.float64)
    damped[np.diag_indices_from(damped)] += _DAMPING * np.mean(np.diag(damped))
    upper = dtrtri(np.linalg.cholesky(damped), lower=1, overwrite_c=1)[0][::-1, ::-1]
    rest = np.ascontiguousarray(matrix.T[order])  # (inputs, outputs)
    steps = np.empty(rest.shape, np.int8)
    for start in range(0, len(rest), _BLOCK):
        stop = min(start + _BLOCK, len(rest))
        errors = np.empty((stop - start, rest.shape[1]))
        for i in range(start, stop):
            steps[i] = np.clip(np.rint(rest[i] / scale), -limit, limit)
            error = errors[i - start] = (rest[i] - steps[i] * scale) / upper[i, i]
            rest[i + 1 : stop] -= np.outer(upper[i, i + 1 : stop], error)
        rest[stop:] -= upper[start:stop, stop:].T @ errors
    result = np.empty_like(steps)
    result[order] = steps
    return np.ascontiguousarray(result.T)


def _folded(rounded: Floats, matrix: Floats) -> Floats:
    """Return SmoothQuant's factor on each input channel, (inputs,), estimated by least squares."""
    power: Floats = np.sum(matrix * matrix, axis=0)
    factors = np.ones_like(power)
    np.divide(np.sum(rounded * matrix, axis=0), power, out=factors, where=power > 0)
    return factors


def _weights(model: ov.Model) -> list[_Weight]:
    """Find the INT8 matrices of ``model``; a matrix that layers share appears once."""
    found: dict[str, _Weight] = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() != "MatMul" or not node.get_attributes()["transpose_b"]:
            continue
        scaled = node.input_value(1).get_node()
        if scaled.get_type_name() != "Multiply":
            continue
        converted = scaled.input_value(0).get_node()
        scale = _constant(scaled.input_value(1))
        if converted.get_type_name() != "Convert" or scale is None:
            continue
        constant = converted.input_value(0).get_node()
        if constant.get_type_name() != "Constant" or constant.get_element_type() != ov.Type.i8:
            continue
        shape = constant.get_output_shape(0)
        if len(shape) != 2 or scale.size != shape[0]:
            continue
        name = constant.get_friendly_name()
        others = found[name].products if name in found else ()
        found[name] = _Weight(constant, scale.reshape(-1), (*others, node))
    return list(found.values())


def _groups(weights: Sequence[_Weight]) -> Iterator[list[_Weight]]:
    """Split the list so that the second moments of each part fit in ``_MOMENT_BYTES``."""
    group: list[_Weight] = []
    sizes: dict[tuple[_Port, ...], int] = {}
    for weight in weights:
        size = {weight.ports: 4 * weight.inputs**2}
        if group and sum((sizes | size).values()) > _MOMENT_BYTES:
            yield group
            group, sizes = [], {}
        group.append(weight)
        sizes |= size
    if group:
        yield group


def _moments(
    model: ov.Model, weights: Sequence[_Weight], samples: Iterable[Inputs]
) -> dict[tuple[_Port, ...], npt.NDArray[np.float32]]:
    """Return second moments of the weights' inputs, float32 (inputs, inputs), by their ports."""
    watched = model.clone()
    nodes = {node.get_friendly_name(): node for node in watched.get_ordered_ops()}
    ports = sorted({port for weight in weights for port in weight.ports})
    # Only these are outputs, so that nothing after the last of them is computed.
    outputs = [nodes[name].output(number) for name, number in ports]
    seen = ov.Model(outputs, watched.get_parameters())
    compiled = ov.Core().compile_model(seen, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    moments = {
        weight.ports: np.zeros((weight.inputs, weight.inputs), np.float32) for weight in weights
    }
    for results in _together(compiled(sample) for sample in samples):
        values = dict(zip(ports, results, strict=True))
        for read, moment in moments.items():
            for port in read:
                moment += values[port].T @ values[port]
    return moments


def _together(results: Iterable[OVDict]) -> Iterator[list[npt.NDArray[np.float32]]]:
    """Join the tokens of several texts, so that fewer and larger products update the moments."""
    parts: list[list[npt.NDArray[np.float32]]] = []
    tokens = 0
    for result in results:
        parts.append([value.reshape(-1, value.shape[-1]) for value in result.values()])
        tokens += len(parts[-1][-1])
        if tokens >= _TOKENS:
            yield [np.concatenate(values) for values in zip(*parts, strict=True)]
            parts, tokens = [], 0
    if parts:
        yield [np.concatenate(values) for values in zip(*parts, strict=True)]


def _constant(port: ov.Output) -> Floats | None:
    """Return a constant's value in float64, or None where it is computed."""
    node = port.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant":
        return None
    return np.asarray(node.get_data(), np.float64)
