"""In which number format the network trains: where reduced precision pays and where it is safe.

Which parts of a model run in bf16 or fp16 stands in :data:`REDUCED`; losses, assignment and decoding never do. A
whole RTMPose in bf16 lost a tenth of AP on rendered cars, its backbone alone none. In RTMDet's head the stacked
convolutions add nothing to the error that backbone and neck bring into the gradient (cosine to that of fp32, trained
model, means of three batches: 0.993 with and without them); the last ones, whose outputs are scores and distances, cost
next to nothing and stay in fp32. From scratch, on a CPU and so for few steps, a detector trains in fp32 all the same:
900 steps on 360 rendered pictures gave mAP .535, .574 and .321 (three seeds) in bf16, .588 (the third) in fp32, .626
and .615 (the first two) upstream; from trained weights there was no such gap, nor in ``make demo`` (once each: .609 in
bf16, .587 in fp32). ``benchmarks/training.py --ap`` compares the parts by AP. Validation and testing are always in
fp32.
"""
from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

from pose_tools.console import UserError

CHOICES = ("auto", "fp32", "bf16", "fp16")
# By type of model: the modules that train in reduced precision, in the order the data takes, and with a minus sign
# those inside them that do not.
REDUCED = {
    "RTMDet": ("backbone", "neck", "bbox_head", "-bbox_head.rtm_cls", "-bbox_head.rtm_reg"),
    "TopdownPoseEstimator": ("backbone", ),
}
REDUCED_ELSEWHERE = ("backbone", "neck")


@dataclass(frozen=True)
class Precision:
    """What was chosen.

    Attributes:
        name: ``fp32``, ``bf16`` or ``fp16``.
        reason: Why, in a few words.
    """

    name: str
    reason: str

    @property
    def dtype(self) -> torch.dtype:
        """The torch type of what is reduced."""
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.name]


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 natively (AVX512-BF16 or AMX); elsewhere bf16 is slower than fp32."""
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        if getattr(torch.cpu, probe, lambda: False)():
            return True
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(errors="ignore") if cpuinfo.is_file() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def choose_precision(wanted: str, device: str, new_detector: bool = False) -> Precision:
    """Settles ``--precision`` for a device.

    Args:
        wanted: One of :data:`CHOICES`.
        device: ``cpu``, ``cuda`` or ``cuda:N``; others train in fp32 unless told otherwise.
        new_detector: Whether it is a detector that starts from random weights.

    Raises:
        UserError: The device cannot do what was asked for.
    """
    kind = device.split(":")[0]
    if wanted == "fp16" and kind == "cpu":
        raise UserError("--precision fp16 needs a GPU; on a CPU use bf16 or fp32")
    if wanted != "auto":
        return Precision(wanted, "as asked")
    if kind == "cpu":
        if new_detector:
            return Precision("fp32", "from scratch, detectors learned less steadily in bf16")
        if cpu_has_bf16():
            return Precision("bf16", "this CPU multiplies bf16 natively")
        return Precision("fp32", "this CPU has no native bf16")
    if kind == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision("bf16", "this GPU multiplies bf16 natively")
        return Precision("fp16", "this GPU has fp16 but no bf16; with loss scaling")
    return Precision("fp32", f"reduced precision is untried on {kind}")


@OPTIM_WRAPPERS.register_module()
class ScaledOptimWrapper(AmpOptimWrapper):
    """Loss scaling for fp16 without autocast over the whole model; :func:`apply_precision` casts its parts."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Any:
        """Gradient accumulation only."""
        with OptimWrapper.optim_context(self, model):
            yield


def _to_float32(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, (tuple, list)):
        return type(value)(_to_float32(item) for item in value)
    return value


def apply_precision(model: nn.Module, precision: Precision, device: str,
                    parts: Optional[Sequence[str]] = None) -> None:
    """Runs parts of a model in reduced precision while it trains.

    Weights stay in fp32; what the last of the parts returns comes back in fp32. Convolutions get the channels-last
    memory layout, which is faster on CPUs and on tensor cores and changes no result beyond rounding.

    Args:
        model: A detector or pose estimator of mmdet or mmpose, not wrapped for several processes.
        precision: What :func:`choose_precision` gave.
        device: The device the model is on.
        parts: As in :data:`REDUCED`, for trials; names the model does not have are passed over.
    """
    model.to(memory_format=torch.channels_last)
    if precision.name == "fp32":
        return
    kind = device.split(":")[0]
    names = parts or REDUCED.get(type(model).__name__, REDUCED_ELSEWHERE)
    reduced = [module for name in names if not name.startswith("-") for module in _modules(model, name)]
    for module in reduced:
        module.forward = _autocast_in_training(module, precision.dtype, kind, module is reduced[-1])
    for module in [module for name in names if name.startswith("-") for module in _modules(model, name[1:])]:
        module.forward = _full_precision(module, kind)


def _modules(model: nn.Module, name: str) -> list[nn.Module]:
    """The module of a dotted name, or what is in it where it is a list that has no ``forward`` of its own."""
    found = dict(model.named_modules()).get(name)
    if isinstance(found, nn.ModuleList):
        return [inner for part in found for inner in (part if isinstance(part, nn.ModuleList) else [part])]
    return [found] if found is not None else []


def _autocast_in_training(module: nn.Module, dtype: torch.dtype, device_type: str, last: bool) -> Any:
    forward = module.forward

    @functools.wraps(forward)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(device_type, dtype=dtype, enabled=module.training):
            result = forward(*args, **kwargs)
            return _to_float32(result) if last else result

    return wrapped


def _full_precision(module: nn.Module, device_type: str) -> Any:
    forward = module.forward

    @functools.wraps(forward)
    def wrapped(*args: Any) -> Any:
        with torch.autocast(device_type, enabled=False):
            return forward(*_to_float32(args))

    return wrapped


def use_fused_optimizer(optim_wrapper: dict[str, Any], device: str) -> None:
    """Lets Adam and AdamW update all weights in one kernel, where torch has one; the same numbers, faster.

    Args:
        optim_wrapper: A config's, changed in place; a ``fused`` of the user's own stays.
        device: The device to train on; torch has the kernel for CPUs from 2.4 on.
    """
    optimizer = optim_wrapper.get("optimizer", {})
    kind, version = device.split(":")[0], tuple(int(part) for part in torch.__version__.split(".")[:2])
    if optimizer.get("type") in ("Adam", "AdamW") and (kind == "cuda" or (kind == "cpu" and version >= (2, 4))):
        optimizer.setdefault("fused", True)


def amp_precision(device: str) -> str:
    """What upstream's ``--amp`` means: fp16 on a GPU, bf16 on a CPU."""
    return "bf16" if device.startswith("cpu") or not torch.cuda.is_available() else "fp16"
