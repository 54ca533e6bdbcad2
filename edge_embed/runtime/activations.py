"""Float activations on processors whose INT8 arithmetic is not exact.

INT8 graphs are calibrated for x86 with VNNI or AMX. Without these, sums of products saturate at 16
bits, and on ARM the engine has other kernels: the vectors are others, further from the FP32 source.
So there only the weights stay INT8, and activations are computed in float; the vectors are then as
close to the source's as those on an x86 with VNNI.
"""

import openvino as ov

__all__ = ["float_activations"]


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
