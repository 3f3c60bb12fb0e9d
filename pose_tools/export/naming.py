"""What exported files are called, and where they go."""
from __future__ import annotations

from pathlib import Path

from pose_tools.console import Fault, FaultsError
from pose_tools.options.exporting import ExportOptions

SUFFIXES = {"onnx": (".onnx", ), "openvino": (".bin", ".xml"), "torchscript": (".torchscript", ),
            "tensorrt": (".engine.json", ".engine")}


def name_of(checkpoint: Path, options: ExportOptions) -> str:
    """Gives the name that all files of an export share, without the suffix.

    Args:
        checkpoint: ``rtmpose-s-carpose-1a2b3c4d_20261121.pth``; or of a run, ``work_dirs/X/best_coco_AP_epoch_90.pth``,
            whose name alone does not say what it is.
        options: What was asked for.
    """
    stem, folder = checkpoint.stem, checkpoint.resolve().parent
    if stem.startswith(("best_", "epoch_", "iter_")):
        stem = f"{folder.name}-{stem}"
    words = [stem, *(["end2end"] if options.end_to_end else []),
             *([] if options.precision == "fp32" else [options.precision]),
             *([] if options.batch is None else [f"b{options.batch}"])]
    return "-".join(words)


def targets(checkpoint: Path, options: ExportOptions) -> dict[str, list[Path]]:
    """Lists the files of each format, the one that others open last.

    Args:
        checkpoint: The checkpoint.
        options: What was asked for.

    Raises:
        FaultsError: Files of these names are there already, and are not to be replaced; all are listed.
    """
    folder, name = options.out or checkpoint.parent, name_of(checkpoint, options)
    found = {kind: [folder / f"{name}{suffix}" for suffix in SUFFIXES[kind]] for kind in options.formats}
    if folder.exists() and not folder.is_dir():
        raise FaultsError([Fault(folder, "is a file; name a folder to write to: --out FOLDER")])
    there = [path for paths in found.values() for path in paths if path.exists()]
    if there and not options.overwrite:
        raise FaultsError([Fault(path, "exists") for path in there], "replace with --overwrite, or choose --out FOLDER")
    return found
