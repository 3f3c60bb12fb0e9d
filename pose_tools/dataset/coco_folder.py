"""The layout of a data set's folder: ``images/`` and a COCO file a split."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from pose_tools.console import Fault, UserError
from pose_tools.dataset.checks import coco_faults
from pose_tools.formats.coco import load_coco

SPLITS = ("train", "val", "test")


def find_coco_files(source: Path) -> dict[str, Path]:
    """The COCO files of a data set's folder, by split.

    Args:
        source: A folder with ``train_coco.json`` and perhaps ``val_coco.json`` and ``test_coco.json``, or one file.

    Raises:
        UserError: There is no such file.
    """
    if source.is_file():
        split = source.name.split("_coco")[0]
        return {split if split in SPLITS else "train": source}
    found = {split: source / f"{split}_coco.json" for split in SPLITS}
    found = {split: path for split, path in found.items() if path.is_file()}
    if not found:
        raise UserError(f"{source}: no such file, or a folder without train_coco.json, val_coco.json or test_coco.json")
    return found


def read_sides(files: Mapping[str, Path], images: Path) -> tuple[dict[str, dict[str, Any]], list[Fault]]:
    """Reads and checks the COCO files of a data set that is to be written again elsewhere.

    Args:
        files: COCO files by split.
        images: Where their images are.

    Returns:
        The contents by split, and their faults; among these ``file_name`` that are absolute or contain ``..``, which
        would be written outside of the new folder.

    Raises:
        FaultsError: One of them is no COCO file.
    """
    sides = {split: load_coco(path) for split, path in files.items()}
    faults = [fault for split, path in files.items()
              for fault in [*coco_faults(sides[split], path, image_dir=images), *_outside(sides[split], path)]]
    return sides, faults


def _outside(data: Mapping[str, Any], path: Path) -> list[Fault]:
    named = [image for image in data["images"] if isinstance(image.get("file_name"), str)]
    return [Fault(path, f"file_name {image['file_name']!r} leads outside of the images' folder", f"image {image['id']}")
            for image in named if leads_outside(image["file_name"])]


def leads_outside(name: str) -> bool:
    """Whether a file name is absolute or climbs by ``..``, on Linux or on Windows."""
    return any(path.is_absolute() or path.drive or ".." in path.parts
               for path in (PurePosixPath(name), PureWindowsPath(name)))
