"""OpenVINO without its telemetry, and without its crash."""
from __future__ import annotations

import functools
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


@functools.cache
def openvino_core() -> Any:
    """Gives the one ``Core`` of this process, which is never let go.

    A ``Core`` that runs models on a CPU sets the stack that signals are handled on, and gives the former one back when
    it goes (OpenVINO 2026.4). With two of them, the first gone first, that is a stack which is no longer there: the
    next Ctrl-C, or the next process that ends, is a segmentation fault.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    return import_openvino().Core()
