"""Dividing a data set into train, val and test, or into folds, and writing it."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from pose_tools.console import UserError, progress
from pose_tools.console.folder import check_destination, new_folder
from pose_tools.dataset.coco_folder import SPLITS
from pose_tools.dataset.near_duplicates import DISTANCE
from pose_tools.dataset.splits.deal import divide
from pose_tools.dataset.splits.groups import Grouping, make_groups
from pose_tools.dataset.splits.pool import Pool, count_things, read_pool, weights_of
from pose_tools.dataset.splits.report import Division, size_warning
from pose_tools.formats.coco import save_coco
from pose_tools.formats.images import write_image

_FILES = tuple(f"{split}_coco.json" for split in SPLITS)


@dataclass(frozen=True)
class DivideOptions:
    """How to divide.

    Attributes:
        val: Share of the images to validate on; without folds.
        test: Share of the images to test on; 0 makes no test part.
        folds: Number of folds; 0 makes train and val.
        by: What images are grouped by; see :func:`pose_tools.dataset.splits.groups.keys_of`.
        pattern: Regular expression for ``by="name"``.
        distance: Near-duplicates stay together; ``None`` does not look for them.
        seed: Another seed gives another division.
        overwrite: Replace a destination that has contents.
        images: Folder of the images, where it is not beside the files.
    """

    val: float = 0.2
    test: float = 0.0
    folds: int = 0
    by: Optional[str] = None
    pattern: str = ""
    distance: Optional[int] = DISTANCE
    seed: int = 0
    overwrite: bool = False
    images: Optional[Path] = None

    def shares(self) -> dict[str, float]:
        """The wanted share of each part.

        Raises:
            UserError: They are out of range.
        """
        if self.folds:
            if self.folds < 2:
                raise UserError(f"--folds {self.folds}: expected 2 or more")
            rest = (1 - self.test) / self.folds
            parts = {f"fold{k}": rest for k in range(self.folds)}
        else:
            if not 0 < self.val < 1:
                raise UserError(f"--val {self.val:g}: expected a share above 0 and below 1")
            parts = {"train": 1 - self.val - self.test, "val": self.val}
        if not 0 <= self.test < 1:
            raise UserError(f"--test {self.test:g}: expected a share from 0 to below 1")
        if parts.get("train", 1) <= 1e-9:
            raise UserError(f"--val {self.val:g} --test {self.test:g}: nothing is left to train on")
        return {**parts, **({"test": self.test} if self.test else {})}


@dataclass(frozen=True)
class Divided:
    """What came out.

    Attributes:
        division: The parts.
        notes: What the user should know.
        files: What was written beside ``images/``, in words.
    """

    division: Division
    notes: list[str]
    files: str


def divide_coco(sources: Sequence[Path], destination: Path, options: DivideOptions) -> Divided:
    """Divides a data set and writes it anew; the sources stay as they are.

    Args:
        sources: A data set's folder, or COCO files; their splits are taken together.
        destination: The data set to make, with ``images/``, hard-linked where that works, and ``train_coco.json``,
            ``val_coco.json`` and ``test_coco.json``; or with these in ``fold0/``, ``fold1/`` and so on. It appears
            whole or stays as it was.
        options: How to divide.

    Raises:
        UserError: Something is missing, an option is out of range, the destination has contents or holds a source,
            or there are fewer groups of images than parts.
        FaultsError: All faults of all files.
    """
    shares = options.shares()
    check_destination(destination, options.overwrite, [*sources, *([options.images] if options.images else [])])
    pool = read_pool(sources, options.images)
    images = pool.data["images"]
    check_destination(destination, options.overwrite, {path.parent for path in pool.paths})
    grouping = make_groups(images, pool.paths, options.by, options.pattern, options.distance)
    _check_groups(grouping, len(shares), len(images))
    division = _divide(pool, grouping, shares, options.seed)
    files = _files(list(shares), division.of_group[grouping.of])
    with new_folder(destination, options.overwrite) as folder:
        for image, picture in zip(progress(images, "writing images"), pool.pictures):
            write_image(picture, folder / "images" / image["file_name"])
        for name, chosen in files.items():
            save_coco(folder / name, _part(pool.data, chosen))
    written = sorted({Path(name).name for name in files}, key=_FILES.index)
    told = ", ".join(written) if not options.folds else (
        f"fold0/ to fold{options.folds - 1}/ with {', '.join(written)} each")
    warning = size_warning(division)
    return Divided(division, [*pool.notes, *grouping.notes, *([warning] if warning else [])], told)


def _check_groups(grouping: Grouping, parts: int, images: int) -> None:
    if len(grouping.names) >= parts:
        return
    if images < parts:
        raise UserError(f"there {'is a single image' if images == 1 else f'are {images} images'}; "
                        f"{parts} parts cannot be made of that")
    sizes = ", ".join(f"{name} ({size} images)" for name, size in zip(grouping.names, grouping.sizes))
    joined = "; near-duplicates joined them, which --near-duplicates off prevents" if grouping.joined else ""
    raise UserError(f"{images} images are in {len(grouping.names)} groups that must stay together, {sizes}; "
                    f"{parts} parts cannot be made of that{joined}")


def _divide(pool: Pool, grouping: Grouping, shares: dict[str, float], seed: int) -> Division:
    by_image, columns = count_things(pool)
    counts = np.zeros((len(grouping.names), len(columns)), int)
    np.add.at(counts, grouping.of, by_image)
    wanted = np.array(list(shares.values()))
    of_group = divide(counts, weights_of(counts, columns), wanted, grouping.names, seed)
    return Division(list(shares), wanted, of_group, counts, columns, grouping)


def _files(parts: Sequence[str], of_image: np.ndarray) -> dict[str, np.ndarray]:
    """For each COCO file to write, which images it holds (N,)."""
    chosen = {part: of_image == number for number, part in enumerate(parts)}
    test = chosen.pop("test", None)
    if "train" in chosen:
        files = {f"{part}_coco.json": which for part, which in chosen.items()}
        return files if test is None else {**files, "test_coco.json": test}
    files = {}
    for fold, which in chosen.items():
        rest = ~which if test is None else ~(which | test)
        files.update({f"{fold}/train_coco.json": rest, f"{fold}/val_coco.json": which})
        # A config names it beside the other two.
        files.update({} if test is None else {f"{fold}/test_coco.json": test})
    return files


def _part(data: dict[str, Any], chosen: np.ndarray) -> dict[str, Any]:
    images = [image for image, inside in zip(data["images"], chosen.tolist()) if inside]
    ids = {image["id"] for image in images}
    return {**data, "images": images, "annotations": [a for a in data["annotations"] if a["image_id"] in ids]}
