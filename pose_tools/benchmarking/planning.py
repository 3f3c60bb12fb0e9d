"""Which models are run by what, before anything is loaded."""
from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from pose_tools.benchmarking.workbench import Case
from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.inference.runtime import RUN_BY
from pose_tools.options.benchmarking import BenchmarkOptions


def plan_cases(options: BenchmarkOptions) -> list[Case]:
    """Lists what is to be measured: each model, by each library asked for that can run it, in each precision.

    Args:
        options: What was asked for.

    Raises:
        FaultsError: Models that are not there, or that nothing asked for can run.
    """
    from pose_tools.weights.resolve import resolve_weights

    cases: list[Case] = []
    faults: list[Fault] = []
    for model in dict.fromkeys(options.models):
        try:
            path = resolve_weights(model)
            backends = backends_of(path, options.backend)
        except UserError as error:
            faults.append(_fault_of(error, model))
            continue
        cases += [Case(path, backend, precision, options.device, options.threads)
                  for backend in backends for precision in dict.fromkeys(options.precision)]
    if faults:
        raise FaultsError(faults)
    return cases


def backends_of(path: Path, wanted: Sequence[str]) -> list[str]:
    """Names the libraries that run a file, in a fixed order.

    Args:
        path: Of the model.
        wanted: Names of libraries; ``auto`` is all that are installed.

    Raises:
        UserError: None of them can run it.
    """
    able = RUN_BY.get(path.suffix.lower())
    if able is None:
        raise UserError(f"{path}: is neither a checkpoint (.pth) nor a model file (.onnx, .xml)")
    named = [name for name in able if name in wanted]
    if "auto" in wanted:
        installed = [name for name in able if find_spec(name)]
        named = [name for name in able if name in (*named, *installed)]
        if not named:
            raise UserError(f"{path}: needs {' or '.join(able)}, not installed here")
    if not named:
        raise UserError(f"{path}: is run by {' or '.join(able)}, not by {' or '.join(wanted)}")
    return named


def plan_pairs(cases: Sequence[Case], tasks: Sequence[str]) -> list[tuple[Case, Case]]:
    """Pairs detectors with keypoint models: those run by one library in one precision, or else all.

    Args:
        cases: What is measured.
        tasks: ``detector`` or ``pose`` for each.

    Returns:
        Detector and keypoint model of each pair.
    """
    every = [(det, pose) for det, first in zip(cases, tasks) if first == "detector"
             for pose, second in zip(cases, tasks) if second == "pose"]
    alike = [(det, pose) for det, pose in every if (det.backend, det.precision) == (pose.backend, pose.precision)]
    return alike or every


def _fault_of(error: UserError, model: str) -> Fault:
    text = str(error)
    return Fault(model, text[len(model) + 2:] if text.startswith(f"{model}: ") else text)
