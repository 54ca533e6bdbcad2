"""Import OpenVINO without its telemetry and its model converters. Import this before openvino.

``None`` in ``sys.modules`` makes an import fail, and OpenVINO works without both. It would report
its own import through the package ``openvino_telemetry``. The import of its converters for other
formats takes a third of the whole time and loads TensorFlow's frontend; ``openvino.convert_model``
is imported when a program first uses it.
"""

import sys
from typing import Any

_CONVERTERS = "openvino.tools.ovc"

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def _later(name: str) -> Any:  # noqa: ANN401
    """Import an attribute of the package openvino on first use."""
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
