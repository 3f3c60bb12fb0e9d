"""One interface to models, whichever library runs them: PyTorch, ONNX Runtime or OpenVINO.

    backend = open_backend("rtmpose-s-carpose.onnx")
    keypoints, scores = PoseModel(backend)(image, boxes)

Only checkpoints need torch and mm*; each library is imported when a file of its kind is opened.
"""
from __future__ import annotations

from pathlib import Path
from typing import Optional, Union

from pose_tools.console import UserError
from pose_tools.inference.runtime.backend import Backend
from pose_tools.inference.runtime.detector import DetectorModel
from pose_tools.inference.runtime.facts import ModelFacts
from pose_tools.inference.runtime.pose import PoseModel

BACKENDS = ("auto", "torch", "onnxruntime", "openvino")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
# What runs each kind of file; the first of them unless told otherwise.
RUN_BY = {".pth": ("torch",), ".pt": ("torch",), ".safetensors": ("torch",), ".onnx": ("onnxruntime", "openvino"),
        ".xml": ("openvino",)}


def can_run(backend: str, path: Path) -> bool:
    """Whether a backend runs files of this suffix."""
    return backend in RUN_BY.get(path.suffix.lower(), ())


def open_backend(path: Union[str, Path], backend: str = "auto", device: str = "auto", precision: str = "auto",
                 threads: Optional[int] = None, meta: Optional[Path] = None, streams: int = 1) -> Backend:
    """Opens a model file with the library for it.

    Args:
        path: A checkpoint (``.pth``), an ONNX file (``.onnx``) or one of OpenVINO's (``.xml``).
        backend: One of :data:`BACKENDS`; ``auto`` takes ONNX Runtime for ``.onnx``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N``, and what else the library has.
        precision: One of :data:`PRECISIONS`; ``auto`` is fp32 unless the file was exported for another.
        threads: Of a run; None leaves it to the library.
        meta: A ``meta.py`` that names classes and keypoints, for a file that does not say what it is.
        streams: Runs that go on at once, each from a thread of its own. A backend may always be used by several
            threads. OpenVINO shares ``threads * streams`` out among them; with several streams PyTorch's threads are
            left as they are, since each thread has to set them for itself.

    Raises:
        UserError: The file is missing, broken, of another kind or not what it says; or the library does not run it, or
            is not installed, or does not have the device.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix.lower() not in RUN_BY:
        raise UserError(f"{path}: is neither a checkpoint (.pth), an ONNX file (.onnx) nor one of OpenVINO (.xml)")
    able = RUN_BY[path.suffix.lower()]
    if backend not in ("auto", *able):
        raise UserError(f"{path}: is not run by {backend} but by {' or '.join(able)}")
    if threads is not None and threads < 1:
        raise UserError(f"expected at least one thread, got {threads}")
    chosen = able[0] if backend == "auto" else backend
    if chosen == "torch":
        from pose_tools.inference.runtime.torch_backend import TorchBackend as Chosen
    elif chosen == "openvino":
        from pose_tools.inference.runtime.openvino_backend import OpenVinoBackend

        return OpenVinoBackend(path, device, precision, threads, meta, streams)
    else:
        from pose_tools.inference.runtime.onnxruntime_backend import OnnxRuntimeBackend as Chosen
    if chosen == "torch" and streams > 1:
        threads = None
    return Chosen(path, device, precision, threads, meta)


__all__ = ["BACKENDS", "PRECISIONS", "RUN_BY", "Backend", "DetectorModel", "ModelFacts", "PoseModel", "can_run",
           "open_backend"]
