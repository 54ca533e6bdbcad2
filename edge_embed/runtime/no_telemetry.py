"""Nothing here phones home. Must be imported before OpenVINO, which reports its own import.

It does so through the package ``openvino_telemetry`` where that can be imported, and does without
where it cannot; ``None`` in ``sys.modules`` is Python's way to say that it cannot.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
