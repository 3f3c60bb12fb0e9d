"""A COCO data set as the commands that look at one take it: its files by split, its images, its keypoint set."""
from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose_tools.console import FaultsError, UserError
from pose_tools.dataset.coco_folder import find_coco_files, split_of
from pose_tools.dataset.scaffold import CONFIGS
from pose_tools.formats.coco import keypoint_set_from_coco, load_coco
from pose_tools.formats.schema import KeypointSet, read_meta


@dataclass(frozen=True)
class DataSet:
    """COCO files that belong together.

    Attributes:
        files: The COCO files by split.
        sides: What they hold, by split.
        images: The folder that each split's ``file_name`` are relative to.
    """

    files: dict[str, Path]
    sides: dict[str, dict[str, Any]]
    images: dict[str, Path]

    def image_path(self, split: str, image: Mapping[str, Any]) -> Path:
        """Where an image's file should be."""
        return self.images[split] / str(image.get("file_name"))


def read_data_set(sources: Sequence[Path], images: Path | None = None) -> DataSet:
    """Reads a data set without checking more than that its files are COCO.

    Args:
        sources: One folder with ``train_coco.json`` and so on, or COCO files, one a split.
        images: Where the images are; by default ``images/`` beside each file, or wherever near it the first image
            is found.

    Raises:
        UserError: There is no such file, or there are no images.
        FaultsError: All files that are not COCO.
    """
    files: dict[str, Path] = {}
    for source in map(Path, sources):
        found = find_coco_files(source) if source.is_dir() else {split_of(source): source}
        for split, path in found.items():
            files[split if split not in files else str(path)] = path
    if images is not None and not images.is_dir():
        raise UserError(f"{images}: there is no such folder of images")
    sides, faults = {}, []
    for split, path in files.items():
        try:
            sides[split] = load_coco(path)
        except FaultsError as error:
            faults += error.faults
    if faults:
        raise FaultsError(faults)
    return DataSet(files, sides, {split: images or folder_of_images(path, sides[split])
                                  for split, path in files.items()})


def folder_of_images(path: Path, data: Mapping[str, Any]) -> Path:
    """Finds the folder that ``file_name`` is relative to, by the first image of a COCO file.

    Args:
        path: The COCO file.
        data: Its contents.

    Returns:
        ``images/`` beside the file; or the file's folder, the one above it, or a folder in one of these two, when
        the first image is there and not in ``images/``.
    """
    usual = path.parent / "images"
    name = next((image["file_name"] for image in data["images"] if isinstance(image.get("file_name"), str)), None)
    if name is None or (usual / name).is_file():
        return usual
    homes = [path.parent, Path(os.path.normpath(path.parent.absolute() / ".."))]
    nearby = [*homes, *(inner for home in homes for inner in sorted(home.iterdir()) if inner.is_dir())]
    return next((folder for folder in nearby if (folder / name).is_file()), usual)


def find_meta(data_set: DataSet, meta: Path | None = None, configs: Path = CONFIGS) -> tuple[KeypointSet | None, str]:
    """Finds the ``meta.py`` that belongs to a data set.

    Args:
        data_set: The data set.
        meta: A ``meta.py``; by default that of the config named like the data set's folder, where there is one.
        configs: Folder of the configs.

    Returns:
        What it says and its path; ``None`` and ``""`` when there is none.

    Raises:
        UserError: It cannot be read.
        FaultsError: It contradicts itself.
    """
    homes = Counter(path.absolute().parent.name for path in data_set.files.values())
    named = configs / "_base_" / homes.most_common(1)[0][0] / "meta.py"
    if meta is None and named.is_file():
        meta = named
    return (read_meta(meta), str(meta)) if meta is not None else (None, "")


def unlike_its_config(folder: Path, names: KeypointSet, configs: Path = CONFIGS) -> list[str]:
    """A line of warning when a new data set does not fit the config that is named like its folder.

    Args:
        folder: The data set's.
        names: Its classes and keypoints.
        configs: Folder of the configs.
    """
    meta = configs / "_base_" / folder.absolute().name / "meta.py"
    if not meta.is_file():
        return []
    config = read_meta(meta)
    if (config.classes, config.keypoints) == (names.classes, names.keypoints):
        return []
    shown = os.path.relpath(meta) if not os.path.relpath(meta).startswith("..") else meta
    return [f"warning: {shown} has other classes or keypoints, or another order; to train with it, convert with "
            f"--meta {shown}"]


def find_keypoint_set(data_set: DataSet, meta: Path | None = None, configs: Path = CONFIGS) -> tuple[KeypointSet, str]:
    """Finds the names, swaps, links and sigmas that belong to a data set.

    Args:
        data_set: The data set.
        meta: As for :func:`find_meta`.
        configs: Folder of the configs.

    Returns:
        The keypoint set and where it is from: the path of the ``meta.py``, or ``""`` when it was read from the
        categories.

    Raises:
        UserError: The ``meta.py`` cannot be read.
        FaultsError: It, or without one what the categories say, contradicts itself.
    """
    names, path = find_meta(data_set, meta, configs)
    if names is not None:
        return names, path
    split, file = next(iter(data_set.files.items()))
    return keypoint_set_from_coco(data_set.sides[split], file), ""
