"""OpenVINO without its telemetry."""
from __future__ import annotations

import sys
from typing import Any


def import_openvino() -> Any:
    """Imports OpenVINO so that it reports nothing.

    ``import openvino`` sends an event to its makers (``openvino/tools/ovc/__init__.py``) unless the user has opted
    out before. Where the package that sends cannot be imported, OpenVINO takes a stand-in of its own that does nothing.

    Raises:
        ImportError: It is not installed.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: cannot be imported
    import openvino

    return openvino
