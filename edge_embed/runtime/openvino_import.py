"""OpenVINO without what embedding does not need. Must be imported before it is.

It reports its own import through the package ``openvino_telemetry`` where that can be imported, and
does without where it cannot; ``None`` in ``sys.modules`` is Python's way to say that it cannot. In
the same way it does without its converters of other formats, whose import takes a third of its own
and loads the frontend of TensorFlow. A program that asks for them gets them all the same.
"""

import sys
from typing import Any

_CONVERTERS = "openvino.tools.ovc"

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def _later(name: str) -> Any:  # noqa: ANN401
    """Return what the package would hold already."""
    if name == "convert_model":
        from openvino.tools.ovc import convert_model

        return convert_model
    raise AttributeError(f"module 'openvino' has no attribute {name!r}")


if "openvino" not in sys.modules:
    sys.modules[_CONVERTERS] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        del sys.modules[_CONVERTERS]
    vars(openvino).setdefault("__getattr__", _later)
