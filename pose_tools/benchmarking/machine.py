"""The machine a figure was taken on: what it is, how busy it is, and how much memory this process takes.

Memory is in MB of 10^6 bytes, resident (RSS). Linux tells all of it; elsewhere what is not told is ``None``.
"""
from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

PACKAGES = ("torch", "onnxruntime", "openvino", "mmpose", "mmdet", "numpy", "opencv-python")


def describe_machine(threads: Optional[int] = None, packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Says what belongs beside every figure.

    Args:
        threads: How many the libraries were told to use; ``None`` where they choose.
        packages: Whose versions are of interest; what is not installed is left out.

    Returns:
        ``cpu``, ``cores`` (that this process may use), ``threads``, ``system``, ``python``, ``versions``, ``load``
        (runnable processes over the last minute) and ``date``.
    """
    return {
        "cpu": cpu_name(), "cores": usable_cores(), "threads": threads, "system": platform.system(),
        "python": platform.python_version(), "versions": _versions(packages), "load": load_average(),
        "date": time.strftime("%Y-%m-%d"),
    }


def machine_line(machine: dict[str, Any]) -> str:
    """One line of what :func:`describe_machine` gives."""
    cores, threads = machine["cores"], machine.get("threads")
    parts = [f"{machine['cpu']}, {cores} core{'s' * (cores != 1)}"]
    if threads:
        parts.append(f"{threads} thread{'s' * (threads != 1)}")
    parts += [machine["system"], f"Python {machine['python']}"]
    return ", ".join([*parts, *(f"{name} {version}" for name, version in machine["versions"].items())])


def cpu_name() -> str:
    """The processor's name for people."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def load_average() -> Optional[float]:
    """Runnable processes over the last minute; ``None`` where the system does not say."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


class Others:
    """How much of the machine other processes took while something was measured.

    Attributes:
        share: Of all processors, 0 to 1, after the ``with`` block; ``None`` where the system does not say (not Linux,
            or less than 0.1 s, since the kernel counts in steps of 0.01 s).
    """

    share: Optional[float] = None

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Measures while the block runs; what this process and its threads take is taken off."""
        before = _busy_seconds(), time.process_time(), time.perf_counter()
        yield
        after = _busy_seconds(), time.process_time(), time.perf_counter()
        wall = after[2] - before[2]
        if before[0] is not None and after[0] is not None and wall >= 0.1:
            others = (after[0] - before[0]) - (after[1] - before[1])
            self.share = min(1.0, max(0.0, others / wall / (os.cpu_count() or 1)))


def _busy_seconds() -> Optional[float]:
    """Seconds that all processors together have worked since the start, what a hypervisor withheld included."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            numbers = [int(word) for word in file.readline().split()[1:]]
        user, nice, system, _idle, _iowait, irq, softirq, steal = numbers[:8]
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return None


def memory_now() -> Optional[float]:
    """MB of this process that are in memory now."""
    return _status("VmRSS")


def peak_memory() -> Optional[float]:
    """Most MB this process has had in memory, since its start or :func:`forget_peak`."""
    if (peak := _status("VmHWM")) is not None:
        return peak
    try:
        import resource
    except ImportError:  # Windows
        return None
    # macOS counts in bytes, others in KB of 1024.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def forget_peak() -> bool:
    """Lets :func:`peak_memory` count anew from now; says whether the system could (Linux, see ``man 5 proc``)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _status(key: str) -> Optional[float]:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024 / 1e6
    return None
