"""Turning a COCO keypoint data set into a YOLO pose one, all or nothing."""
from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pose_tools.console import Fault, FaultsError, UserError, progress
from pose_tools.console.folder import check_destination, new_folder
from pose_tools.dataset.coco_folder import find_coco_files, image_sources, read_sides
from pose_tools.dataset.faults import fold_faults
from pose_tools.formats.coco import keypoint_set_from_coco, write_text
from pose_tools.formats.images import ImageSource, write_image
from pose_tools.formats.schema import KeypointSet
from pose_tools.formats.yolo import YoloObject, data_yaml, format_object


@dataclass
class YoloExport:
    """What was written.

    Attributes:
        names: Classes and keypoints.
        sides: The COCO data by split.
        notes: What was read in another way than it is written, and what YOLO files cannot say.
    """

    names: KeypointSet
    sides: dict[str, dict[str, Any]]
    notes: list[str] = field(default_factory=list)


def _read(files: dict[str, Path], images: Path, notes: list[str]) -> tuple[KeypointSet, dict[str, dict[str, Any]]]:
    sides, faults = read_sides(files, images, notes)
    if faults:
        raise FaultsError(fold_faults(faults), "nothing was written; mend these first")
    sets = {split: keypoint_set_from_coco(sides[split], files[split]) for split in files}
    first = next(iter(sets.values()))
    odd = [Fault(files[split], f"names other classes or keypoints than {next(iter(files.values()))}")
           for split, names in sets.items() if (names.classes, names.keypoints) != (first.classes, first.keypoints)]
    odd += [Fault(files[split], f"swaps other keypoints than {next(iter(files.values()))}")
            for split, names in sets.items() if names.flip_indices != first.flip_indices]
    if odd:
        raise FaultsError(odd, "nothing was written")
    if not first.keypoints:
        raise UserError(f"{next(iter(files.values()))}: its categories name no keypoints")
    return first, sides


def _label_text(annotations: Sequence[dict[str, Any]], category_index: dict[Any, int], count: int,
                size: tuple[int, int]) -> str:
    lines = []
    for annotation in annotations:
        x, y, w, h = annotation["bbox"]
        values = annotation.get("keypoints") or [0] * 3 * count
        points = tuple((values[i], values[i + 1], int(values[i + 2])) for i in range(0, 3 * count, 3))
        found = YoloObject(category_index[annotation["category_id"]], (x, y, x + w, y + h), points)
        lines.append(format_object(found, size) + "\n")
    return "".join(lines)


def _left_out(sides: dict[str, dict[str, Any]]) -> list[str]:
    lost: Counter[str] = Counter()
    for data in sides.values():
        for annotation in data["annotations"]:
            lost["crowd regions, which YOLO has no word for"] += bool(annotation.get("iscrowd"))
            lost["segmentations, of which only the boxes stay"] += bool(annotation.get("segmentation"))
    return [f"left out: {count} {what}" for what, count in lost.items() if count]


def coco_to_yolo(source: Path, destination: Path, images: Path | None = None, overwrite: bool = False) -> YoloExport:
    """Writes ``images/SPLIT``, ``labels/SPLIT`` and ``data.yaml``.

    Args:
        source: A folder with ``train_coco.json`` and so on and ``images/``, or one COCO file.
        destination: The folder to make; it appears whole or stays as it was.
        images: Where the images are, when not in ``images/`` beside the COCO files.
        overwrite: Replace a destination that has contents.

    Returns:
        What was written.

    Raises:
        UserError: Something is missing, or the destination has contents.
        FaultsError: All faults of all COCO files.
    """
    files = find_coco_files(source)
    home = source if source.is_dir() else source.parent
    images = images or home / "images"
    check_destination(destination, overwrite, [home, images])
    notes: list[str] = []
    names, sides = _read(files, images, notes)
    pictures, faults = image_sources(sides, files, images)
    if faults:
        raise FaultsError(fold_faults(faults), "nothing was written")
    with new_folder(destination, overwrite) as folder:
        for split, data in sides.items():
            _write_split(data, names, pictures[split], folder, split)
        write_text(folder / "data.yaml", data_yaml(names, {split: f"images/{split}" for split in sides}))
    return YoloExport(names, sides, [*notes, *_left_out(sides)])


def _write_split(data: dict[str, Any], names: KeypointSet, pictures: Sequence[ImageSource], folder: Path,
                 split: str) -> None:
    index = {category["id"]: names.classes.index(category["name"]) for category in data["categories"]}
    by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for annotation in data["annotations"]:
        if not annotation.get("iscrowd"):
            by_image[annotation["image_id"]].append(annotation)
    stems: Counter[str] = Counter()
    for image, picture in zip(progress(data["images"], f"writing {split}"), pictures):
        # Label files are looked for by the last "images" in the path; a picture that is written anew may become a PNG.
        parts = PurePosixPath(image["file_name"]).with_name(picture.name).parts
        name = PurePosixPath(*(part for part in parts if part != "images"))
        stems[str(name.with_suffix(""))] += 1
        if (number := stems[str(name.with_suffix(""))]) > 1:  # a.jpg and a.png would share a.txt
            name = name.with_name(f"{name.stem}_{number}{name.suffix}")
        write_image(picture, folder / "images" / split / name)
        text = _label_text(by_image[image["id"]], index, len(names.keypoints), (image["width"], image["height"]))
        write_text(folder / "labels" / split / name.with_suffix(".txt"), text)
