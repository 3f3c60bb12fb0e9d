"""What is installed and what would be used: the thing to paste into a bug report."""
from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Optional

import torch

from pose_tools.console import table
from pose_tools.openmmlab.compat.torchvision_absent import torchvision_works
from pose_tools.openmmlab.device import use_device
from pose_tools.openmmlab.ops.extension import operator_backend
from pose_tools.openmmlab.step.precision import choose_precision

PACKAGES = ("torch", "torchvision", "numpy", "mmengine", "mmcv", "mmcv-lite", "mmdet", "mmpose", "pycocotools",
            "xtcocotools", "opencv-python", "opencv-python-headless", "labelme", "tensorboard", "setuptools")


def _version(package: str) -> Optional[str]:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def environment_report() -> str:
    """Describes Python, packages, operators, device and precision as an aligned table."""
    rows: list[tuple[str, str]] = [
        ("python", f"{platform.python_version()} on {platform.platform()}"),
        ("cpu", f"{_cpu_name()}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads"),
    ]
    for package in PACKAGES:
        version = _version(package)
        if package == "torchvision" and version:
            version += "" if torchvision_works() else " (does not work beside this torch; not used)"
        if version or package not in ("mmcv", "mmcv-lite", "opencv-python", "opencv-python-headless"):
            rows.append((package, version or "not installed"))
    backends: dict[str, list[str]] = {}
    for operator, backend in operator_backend().items():
        backends.setdefault(backend, []).append(operator)
    for backend, operators in backends.items():
        rows.append((f"operators: {backend}", ", ".join(operators)))
    device = use_device("auto")
    if device == "cuda":
        rows.append(("gpu", f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"))
    precision = choose_precision("auto", device)
    rows += [("device", device), ("precision", f"{precision.name}: {precision.reason}")]
    return table(rows, ["what", "here"])
