"""Float activations on processors whose INT8 arithmetic differs from that of x86.

On ARM the engine gives other vectors for the same INT8 graph: with edge-embed-albert-mini their
cosine to those on x86 was 0.976. So there only the weights stay INT8, and activations are computed
in float; the vectors are then as close to the FP32 source's as those on x86.
"""

import platform

import openvino as ov

__all__ = ["float_activations", "int8_as_on_x86"]

_X86 = ("x86_64", "amd64", "i386", "i686")


def int8_as_on_x86() -> bool:
    """Return whether this processor is an x86, for which INT8 graphs are calibrated."""
    return platform.machine().lower() in _X86


def float_activations(model: ov.Model) -> int:
    """Remove the quantization of activations from ``model``, in place; return their number."""
    rounded = [
        node
        for node in model.get_ops()
        if node.get_type_name() == "FakeQuantize" and not _constant(node.input_value(0).get_node())
    ]
    for node in rounded:
        node.output(0).replace(node.input_value(0))
    return len(rounded)


def _constant(node: ov.Node) -> bool:
    """Return whether a node depends on constants only, as weights do."""
    if node.get_type_name() == "Constant":
        return True
    return node.get_input_size() > 0 and all(
        _constant(port.get_node()) for port in node.input_values()
    )
