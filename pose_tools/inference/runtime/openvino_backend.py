"""OpenVINO (.xml with .bin) and ONNX files run by OpenVINO. Needs neither torch nor mm*."""
from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.inference.runtime.backend import check_precision, facts_of_graph, first_line, output_names, split_device
from pose_tools.inference.runtime.quiet_openvino import openvino_core

INFO = ("model_info",)  # where OpenVINO's own model zoo keeps such strings in rt_info
_INFO_OF_ONNX = ("framework",)  # where its reader puts the metadata of an ONNX file
_TYPES = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


class OpenVinoBackend:
    """A model compiled by OpenVINO; see :class:`~pose_tools.inference.runtime.backend.Backend`.

    Args:
        path: The ``.xml`` file, its ``.bin`` beside it; or an ``.onnx`` file.
        device: ``auto`` and ``cpu`` mean the CPU; or ``gpu``, ``gpu:N``, ``npu``.
        precision: What to compute in. ``auto``: bf16 for a file that was exported for it and fp32 else, since bf16
            moves keypoints by more than rounding does; ``bf16`` is fast on CPUs that have it.
        threads: Of a run; None leaves it to the library: one for each core.
        meta: A ``meta.py`` for a file that does not say what it is.
        streams: Runs that go on at once, each from a thread of its own.

    Raises:
        UserError: The file is broken or not what it says, or the device is not there.
    """

    name = "openvino"

    def __init__(self, path: Path, device: str = "auto", precision: str = "auto", threads: Optional[int] = None,
                 meta: Optional[Path] = None, streams: int = 1) -> None:
        """Loads and compiles the file."""
        try:
            core = openvino_core()
        except ImportError as error:
            raise UserError(f"{path}: needs OpenVINO: pip install openvino") from error
        self.path = path
        target = _device(core, device)
        model = _read(core, path)
        inputs = {each.get_any_name(): _shape(each) for each in model.inputs}
        outputs = {name: _shape(each) for each in model.outputs for name in each.get_names()}
        self.facts = facts_of_graph(_metadata(model), inputs, outputs, path, meta)
        able = [name for name in ("fp32", "bf16", "fp16") if _can(core, target, name)]
        check_precision(precision, self.facts, able, "OpenVINO", path)
        compiled = _compile(core, model, target, self._settings(precision, able, threads, streams), path)
        used = str(compiled.get_property("INFERENCE_PRECISION_HINT"))
        self.precision = "int8" if self.facts.precision == "int8" else _type_name(used)
        self._compiled, self._requests = compiled, threading.local()
        self._outputs = [compiled.output(name) for name in output_names(self.facts)]

    def _settings(self, precision: str, able: list[str], threads: Optional[int], streams: int) -> dict[str, Any]:
        wanted = precision
        if wanted not in able:  # auto, or the file's own: fp16 weights become fp32 where fp16 is not native
            wanted = "bf16" if self.facts.precision == "bf16" and "bf16" in able else "fp32"
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _TYPES[wanted]}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads * streams
        if streams > 1:
            # Two models that pin their streams pin them to the same cores, and wait for each other.
            settings.update(NUM_STREAMS=streams, ENABLE_CPU_PINNING=False)
        return settings

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, ...]:
        """Runs the network; see :meth:`pose_tools.inference.runtime.backend.Backend.run`."""
        request = getattr(self._requests, "own", None)
        if request is None:
            request = self._requests.own = self._compiled.create_infer_request()
        request.infer([batch], share_inputs=True)
        # The request writes into the same memory at the next call.
        return tuple(request.get_tensor(output).data.copy() for output in self._outputs)


def _device(core: Any, device: str) -> str:
    there = core.available_devices
    known = sorted({name.partition(".")[0].lower() for name in there})
    kind, number = split_device(device, known, "OpenVINO")
    name = "CPU" if kind == "auto" else kind.upper()
    return name if number is None else f"{name}.{number}"


def _can(core: Any, target: str, precision: str) -> bool:
    able = core.get_property(target, "OPTIMIZATION_CAPABILITIES")
    return precision.upper() in able


def _read(core: Any, path: Path) -> Any:
    if path.suffix.lower() == ".xml" and not path.with_suffix(".bin").is_file():
        raise UserError(f"{path}: its weights, {path.with_suffix('.bin').name}, must lie beside it")
    try:
        return core.read_model(str(path))
    except RuntimeError as error:
        raise UserError(f"{path}: OpenVINO cannot read it: it is broken, or of a kind that it does not know") from error


def _compile(core: Any, model: Any, target: str, settings: dict[str, Any], path: Path) -> Any:
    try:
        return core.compile_model(model, target, settings)
    except RuntimeError as error:
        raise UserError(f"{path}: OpenVINO cannot compile it: {first_line(error)}") from error


def _metadata(model: Any) -> dict[str, str]:
    for where in (INFO, _INFO_OF_ONNX):
        if model.has_rt_info(list(where)):
            found = model.get_rt_info(list(where)).astype(dict)
            return {key: any_value.value for key, any_value in found.items() if isinstance(any_value.value, str)}
    return {}


def _shape(port: Any) -> tuple[Optional[int], ...]:
    shape = port.get_partial_shape()
    return tuple(side.get_length() if side.is_static else None for side in shape)


def _type_name(used: str) -> str:
    """``fp32`` of what OpenVINO prints as ``<Type: 'float32'>``."""
    return next((name for mark, name in (("bfloat16", "bf16"), ("float16", "fp16")) if mark in used), "fp32")
