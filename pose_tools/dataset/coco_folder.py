"""The layout of a data set's folder: ``images/`` and a COCO file a split."""
from __future__ import annotations

from pathlib import Path

from pose_tools.console import UserError

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
