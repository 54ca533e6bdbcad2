"""Activations in float where the engine's INT8 arithmetic is not that of x86.

The same INT8 graph gives other vectors on ARM: of edge-embed-albert-mini they were at a cosine of
0.976 to those of x86. So there the weights stay INT8, and only they: vectors are then those of the
FP32 source, as near as x86's are.
"""

import platform

import openvino as ov

__all__ = ["float_activations", "int8_as_on_x86"]

_X86 = ("x86_64", "amd64", "i386", "i686")


def int8_as_on_x86() -> bool:
    """Return whether this processor is of the kind for which INT8 graphs are calibrated."""
    return platform.machine().lower() in _X86


def float_activations(model: ov.Model) -> int:
    """Take the rounding of activations out of a quantized ``model``; return of how many."""
    rounded = [
        node
        for node in model.get_ops()
        if node.get_type_name() == "FakeQuantize" and not _constant(node.input_value(0).get_node())
    ]
    for node in rounded:
        node.output(0).replace(node.input_value(0))
    return len(rounded)


def _constant(node: ov.Node) -> bool:
    """Return whether a node's value is known, as that of weights is, through any conversion."""
    if node.get_type_name() == "Constant":
        return True
    return node.get_input_size() > 0 and all(
        _constant(port.get_node()) for port in node.input_values()
    )
