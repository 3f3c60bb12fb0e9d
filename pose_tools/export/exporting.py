"""From a checkpoint to files of other runtimes, which get their names when they are proved to give the same."""
from __future__ import annotations

import dataclasses
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pose_tools.console import Fault, FaultsError, UserError, table
from pose_tools.export.naming import targets
from pose_tools.export.onnx_file import make_onnx, write_onnx
from pose_tools.export.openvino_file import write_openvino
from pose_tools.export.tensorrt_file import import_tensorrt, write_tensorrt
from pose_tools.export.torchscript_file import check_torchscript, write_torchscript
from pose_tools.inference.runtime.facts import ModelFacts
from pose_tools.options.exporting import PRECISIONS, ExportOptions

if TYPE_CHECKING:
    import numpy as np

    from pose_tools.openmmlab.graphs.trace import BuiltGraph

ROOT = Path(__file__).resolve().parents[2]
SHOWN_LAYERS = 5
_WHY_NOT = {("onnx", "bf16"): "ONNX Runtime computes no bf16 on a CPU; --format openvino does"}
_NEEDED = {"onnx": ("onnx", "onnxslim"), "openvino": ("onnx", "onnxslim", "openvino"),
           "tensorrt": ("onnx", "onnxslim")}


def export_model(checkpoint: Path, options: ExportOptions) -> list[Path]:
    """Exports a checkpoint; prints what is made and how it compares.

    All formats are made in a folder that nobody looks into, checked, and moved to their names together: a call that
    fails writes nothing.

    Args:
        checkpoint: A published file, or a checkpoint of a run.
        options: What was asked for.

    Returns:
        The files written.

    Raises:
        UserError: The checkpoint is none that can be exported, or an export differs from it by more than is allowed.
        FaultsError: What was asked for cannot be had, or files would be lost; all of it is listed.
    """
    from pose_tools.inference.runtime.torch_facts import facts_of_checkpoint

    check_options(options)
    final = targets(checkpoint, options)
    facts = dataclasses.replace(facts_of_checkpoint(checkpoint), **_said_of_export(checkpoint, options))
    _tell(facts, options)
    with _work_folder(next(iter(final.values()))[-1].parent) as work:
        maker = _Maker(checkpoint, facts, options, work)
        for kind, path in maker.make(final).items():
            try:
                _check(kind, checkpoint, path, options)
            except UserError:
                if options.precision == "int8":
                    print(maker.where_int8_loses())
                raise
        return [_move(work / path.name, path) for paths in final.values() for path in paths]


def check_options(options: ExportOptions) -> None:
    """Makes sure that all that was asked for can be had here.

    Raises:
        FaultsError: Something cannot; all of it is listed.
    """
    faults = []
    for kind in options.formats:
        if options.precision not in PRECISIONS[kind]:
            why = _WHY_NOT.get((kind, options.precision), f"it is written in {', '.join(PRECISIONS[kind])}")
            faults.append(Fault(f"--format {kind}", f"not with --precision {options.precision}: {why}"))
        missing = [name for name in _NEEDED.get(kind, ()) if find_spec(name) is None]
        if missing:
            faults.append(Fault(f"--format {kind}", f"needs {' and '.join(missing)}: pip install {' '.join(missing)}"))
    if options.calibration is not None and options.precision != "int8":
        faults.append(Fault("--calibration", "is for --precision int8"))
    for name, path in (("--images", options.images), ("--calibration", options.calibration)):
        if path is not None and not path.exists():
            faults.append(Fault(name, f"{path}: no such file or folder"))
    if "tensorrt" in options.formats:
        try:
            import_tensorrt()
        except UserError as error:
            faults.append(Fault("--format tensorrt", str(error)))
    if faults:
        raise FaultsError(faults)


def _said_of_export(checkpoint: Path, options: ExportOptions) -> dict[str, object]:
    from pose_tools.weights.hashes import sha256_of

    return {"end_to_end": options.end_to_end, "precision": options.precision, "batch": options.batch,
            "licence": options.licence, "source": checkpoint.name, "source_sha256": sha256_of(checkpoint),
            "opset": options.opset, "made_by": _made_by()}


def _made_by() -> str:
    """Project and torch with their versions; no date, so that the same export gives the same bytes on any day."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    name, version = (re.search(rf'^{key} = "([^"]+)"', project, re.M)[1] for key in ("name", "version"))
    return f"{name} {version}, torch {metadata.version('torch').split('+')[0]}"


def _tell(facts: ModelFacts, options: ExportOptions) -> None:
    width, height = facts.input_size
    count = "N" if options.batch is None else options.batch
    sides, kind = (f"{height}, {width}, 3", "uint8") if options.end_to_end else (f"3, {height}, {width}", "float32")
    formats = ", ".join(options.formats)
    print(f"{facts.name}: {facts.task}, {formats} in {options.precision}, input ({count}, {sides}) {kind}")


class _Maker:
    """Makes files in a folder.

    Args:
        checkpoint: The checkpoint.
        facts: About the export.
        options: What was asked for.
        work: The folder.
    """

    def __init__(self, checkpoint: Path, facts: ModelFacts, options: ExportOptions, work: Path) -> None:
        from pose_tools.openmmlab.graphs.models import Pixels
        from pose_tools.openmmlab.graphs.trace import build_graph

        self.checkpoint, self.facts, self.options, self.work = checkpoint, facts, options, work
        pixels = Pixels(facts.input_size, facts.mean, facts.std, facts.to_rgb)
        self.batches: list[np.ndarray] = []
        self.built: BuiltGraph = build_graph(checkpoint, pixels, options.end_to_end, options.batch)

    def make(self, final: dict[str, list[Path]]) -> dict[str, Path]:
        """Makes every format; returns the file of each that others open, in the folder."""
        strings = self.facts.to_metadata()
        opened = {kind: self.work / paths[-1].name for kind, paths in final.items()}
        sources = self._onnx_sources() if set(final) != {"torchscript"} else {}
        for kind, path in opened.items():
            if kind == "onnx":
                shutil.copyfile(sources[kind], path)
            elif kind == "openvino":
                write_openvino(sources[kind], path, strings, self.options.precision)
            elif kind == "tensorrt":
                write_tensorrt(sources[kind], path, strings, self.options.precision, self.options.batch)
            else:
                without = dataclasses.replace(self.facts, opset=None).to_metadata()
                write_torchscript(self.built, path, without)
                check_torchscript(self.built, path)
        return opened

    def _onnx_sources(self) -> dict[str, Path]:
        """The ONNX file that each format is made from: quantised, if so; fp16 is each format's own matter."""
        from pose_tools.export.half import to_fp16

        strings, precision = self.facts.to_metadata(), self.options.precision
        model, folder = make_onnx(self.built, self.options.opset), self.work / "source"
        folder.mkdir()
        base = folder / "base.onnx"
        write_onnx(model, base, strings)
        own = base
        if precision == "int8":
            base = own = self._quantised(base, folder / "int8.onnx")
        elif precision == "fp16" and "onnx" in self.options.formats:
            own = folder / "fp16.onnx"
            write_onnx(to_fp16(model), own, strings)
        return {"onnx": own, "openvino": base, "tensorrt": base}

    def _quantised(self, source: Path, target: Path) -> Path:
        from pose_tools.export.quantize import calibration_batches, quantize_int8

        self.batches = calibration_batches(self.options.calibration, self.checkpoint, self.facts)
        print(f"measuring activations on {len(self.batches)} inputs")
        quantize_int8(source, target, self.facts, self.batches)
        return target

    def where_int8_loses(self) -> str:
        """The convolutions after which int8 is furthest from fp32; each holds the errors of those before it."""
        from pose_tools.export.quantize import layer_errors

        found = layer_errors(self.work / "source/base.onnx", self.work / "source/int8.onnx", self.batches)
        rows = [[each.name, each.decibel] for each in found[:SHOWN_LAYERS]]
        return table(rows, ["furthest from fp32", "signal to noise, dB"])


def _check(kind: str, checkpoint: Path, path: Path, options: ExportOptions) -> None:
    """Runs a file beside its checkpoint and prints how they compare.

    Raises:
        UserError: They differ by more than is allowed.
    """
    from pose_tools.export.parity import Pictures, Tolerance, check

    if not options.check or kind == "torchscript":
        return
    if kind == "tensorrt":
        print(f"{path.name}: not checked: nothing here runs an engine")
        return
    report = check(checkpoint, path, Pictures.of(options.images, checkpoint),
                   Tolerance.of(options.precision, options.tolerance, options.max_ap_drop))
    print(report.table())
    if not report.passed:
        raise UserError(f"{path.name}: {'; '.join(report.failures())}; nothing was written")


@contextmanager
def _work_folder(beside: Path) -> Iterator[Path]:
    """A folder on the same disk as the files to be, gone afterwards."""
    made = [parent for parent in (beside, *beside.parents) if not parent.exists()]
    beside.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".export.", suffix=".part", dir=beside))
    try:
        yield work
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        for parent in made:
            parent.rmdir()
        raise
    shutil.rmtree(work, ignore_errors=True)


def _move(made: Path, target: Path) -> Path:
    os.replace(made, target)
    return target
