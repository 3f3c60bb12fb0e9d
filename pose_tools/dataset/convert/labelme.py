"""Turning a labelme folder into a COCO data set, all or nothing."""
from __future__ import annotations

from pathlib import Path

from pose_tools.console import FaultsError, UserError
from pose_tools.console.folder import check_destination, new_folder
from pose_tools.dataset.convert.conversion import Conversion, ConvertOptions
from pose_tools.dataset.convert.naming import assign_names
from pose_tools.dataset.convert.read import gather
from pose_tools.dataset.convert.write import count_pictures, save_side, write_images
from pose_tools.dataset.faults import fold_faults
from pose_tools.dataset.splits.by_name import group_names, split_names

__all__ = ["Conversion", "ConvertOptions", "convert", "gather"]


def _check_folders(source: Path, destination: Path, options: ConvertOptions) -> None:
    for folder in (source, *options.image_folders):
        if not folder.is_dir():
            what = "is a file; name the folder it is in" if folder.exists() else "no such folder"
            raise UserError(f"{folder}: {what}")
    check_destination(destination, options.overwrite, [source, *options.image_folders])


def _divide(result: Conversion, options: ConvertOptions) -> None:
    names = [picture.name for picture in result.train]
    groups = group_names(names, options.group_by) if options.group_by else None
    result.groups = len(set(groups or ()))
    train, val = split_names(names, options.split, options.seed, groups)
    result.train, result.val = [result.train[i] for i in train], [result.train[i] for i in val]


def _write(result: Conversion, folder: Path, workers: int | None) -> None:
    write_images([*result.train, *result.val], folder / "images", workers)
    save_side(folder / "train_coco.json", result.train, result.names)
    if result.val:
        first = len(result.train) + 1, sum(len(picture.objects) for picture in result.train) + 1
        save_side(folder / "val_coco.json", result.val, result.names, *first)
    result.counts = {"train": count_pictures(result.train, result.names),
                     "val": count_pictures(result.val, result.names)}


def convert(source: Path, destination: Path, options: ConvertOptions) -> Conversion:
    """Converts a labelme folder into ``images/``, ``train_coco.json`` and ``val_coco.json``.

    Image and annotation ids are unique over both files. Images are hard-linked where the file system can.

    Args:
        source: A folder of labelme files.
        destination: The data set's folder; it appears whole or stays as it was.
        options: How to convert.

    Returns:
        What was done.

    Raises:
        UserError: A folder is missing, the destination has contents, or nothing is left to convert.
        FaultsError: All faults of all files, unless faulty images are to be skipped.
    """
    source, destination = Path(source), Path(destination)
    _check_folders(source, destination, options)
    split_names([], options.split)
    result = gather(source, destination, options)
    if not any(picture.objects for picture in result.train):
        summary = f"{source}: no image with an object is left to convert; nothing was written."
        raise FaultsError(fold_faults(result.faults), summary)
    roots = [source, *options.image_folders]
    named = assign_names([picture.source for picture in result.train], roots)
    result.train = [picture._replace(name=name) for picture, name in zip(result.train, named)]
    _divide(result, options)
    with new_folder(destination, options.overwrite) as folder:
        _write(result, folder, options.workers)
    return result
