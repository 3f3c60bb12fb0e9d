"""Running both models and putting the report together."""
from __future__ import annotations

from pathlib import Path
from typing import Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.export.parity.claims import false_claims
from pose_tools.export.parity.detections import compare_detections
from pose_tools.export.parity.pictures import Pictures
from pose_tools.export.parity.poses import compare_poses
from pose_tools.export.parity.report import Report
from pose_tools.export.parity.tolerance import Tolerance
from pose_tools.inference.runtime import Backend, open_backend


def check(checkpoint: Path, exported: Path, pictures: Pictures, tolerance: Tolerance, threads: Optional[int] = None,
          name: Optional[str] = None) -> Report:
    """Compares an exported file with the checkpoint it was made from.

    Both run on the CPU, in the precision the file was exported for: tensor cores would round where neither file does.

    Args:
        checkpoint: The checkpoint.
        exported: The file, ``.onnx`` or ``.xml``.
        pictures: What to run both on.
        tolerance: The limits.
        threads: Of a run; None leaves it to the libraries.
        name: Of the file in the report, where it has not got its name yet.

    Returns:
        The report; whether the file passes is in it.

    Raises:
        UserError: The checkpoint or a picture cannot be read.
    """
    report = Report(name or exported.name, pictures.origin, max_ap_drop=tolerance.max_ap_drop)
    reference = open_backend(checkpoint, device="cpu", precision="fp32", threads=threads)
    try:
        backend = open_backend(exported, device="cpu", threads=threads)
    except UserError as error:
        report.faults.append(str(error))
        return report
    report.faults += false_claims(reference.facts, backend.facts, checkpoint)
    if backend.facts.task != reference.facts.task:
        return report
    compare = compare_poses if reference.facts.task == "pose" else compare_detections
    try:
        compare(reference, _Guarded(backend), pictures, tolerance, report)
    except _RunFailed as error:
        report.faults.append(str(error))
    return report


class _RunFailed(Exception):
    """The exported graph does not run; its text says with what."""


class _Guarded:
    """A backend whose errors are findings: each library has exceptions of its own."""

    def __init__(self, backend: Backend) -> None:
        self.backend, self.facts, self.name, self.path = backend, backend.facts, backend.name, backend.path
        self.precision = backend.precision

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, ...]:
        """Runs the backend."""
        try:
            return self.backend.run(batch)
        except Exception as error:
            line = next(iter(str(error).splitlines()), type(error).__name__)
            raise _RunFailed(f"{self.name} does not run it on a batch of {len(batch)}: {line}") from error
