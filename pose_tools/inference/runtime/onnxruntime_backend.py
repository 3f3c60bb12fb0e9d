"""ONNX files run by ONNX Runtime. Needs neither torch nor mm*."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.inference.runtime.backend import check_precision, facts_of_graph, first_line, output_names, split_device

_PROVIDERS = {"cuda": "CUDAExecutionProvider", "coreml": "CoreMLExecutionProvider", "cpu": "CPUExecutionProvider"}


class OnnxRuntimeBackend:
    """An ONNX file in an ONNX Runtime session; see :class:`~pose_tools.inference.runtime.backend.Backend`.

    Args:
        path: The ``.onnx`` file.
        device: ``auto`` (the first GPU, else the CPU), ``cpu``, ``cuda``, ``cuda:N`` or ``coreml``.
        precision: ``auto`` or ``fp32``: the file's own is what is computed in.
        threads: Of a run; None leaves it to the library: one for each core.
        meta: A ``meta.py`` for a file that does not say what it is.

    Raises:
        UserError: The file is broken or not what it says, or the device is not there.
    """

    name = "onnxruntime"

    def __init__(self, path: Path, device: str = "auto", precision: str = "auto", threads: Optional[int] = None,
                 meta: Optional[Path] = None) -> None:
        """Loads the file."""
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(f"{path}: needs ONNX Runtime: pip install onnxruntime") from error
        self.path = path
        self._session = _session(onnxruntime, path, device, threads)
        inputs = {each.name: each.shape for each in self._session.get_inputs()}
        outputs = {each.name: each.shape for each in self._session.get_outputs()}
        self.facts = facts_of_graph(self._session.get_modelmeta().custom_metadata_map, inputs, outputs, path, meta)
        check_precision(precision, self.facts, ("fp32",), "ONNX Runtime", path)
        self.precision = self.facts.precision
        self._input, self._outputs = next(iter(inputs)), list(output_names(self.facts))

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, ...]:
        """Runs the network; see :meth:`pose_tools.inference.runtime.backend.Backend.run`."""
        return tuple(self._session.run(self._outputs, {self._input: batch}))


def _session(library: Any, path: Path, device: str, threads: Optional[int]) -> Any:
    there = library.get_available_providers()
    known = [kind for kind, provider in _PROVIDERS.items() if provider in there]
    kind, number = split_device(device, known, "ONNX Runtime")
    if kind == "auto":
        # Apple's units compute in fp16, so they have to be asked for.
        kind = "cuda" if "cuda" in known else "cpu"
    options = library.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
    providers: list[Any] = [(_PROVIDERS[kind], {"device_id": number or 0} if kind == "cuda" else {})]
    if kind != "cpu":
        providers.append(_PROVIDERS["cpu"])  # runs what the other cannot
    try:
        session = library.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # the library has an exception of its own for each kind of fault
        raise UserError(f"{path}: ONNX Runtime cannot load it: {first_line(error)}") from error
    if _PROVIDERS[kind] not in session.get_providers():
        raise UserError(f"--device {device}: ONNX Runtime could not start {_PROVIDERS[kind]}")
    return session
