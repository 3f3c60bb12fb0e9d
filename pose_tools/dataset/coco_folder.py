"""The layout of a data set's folder: ``images/`` and a COCO file a split."""
from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from pose_tools.console import Fault, FaultsError, UserError, progress
from pose_tools.dataset.annotation_checks import are_numbers
from pose_tools.dataset.checks import coco_faults
from pose_tools.dataset.image_names import locate_images
from pose_tools.formats.coco import load_coco
from pose_tools.formats.coco_dialects import normalise_coco
from pose_tools.formats.images import ImageError, ImageSource, read_header, source_of

SPLITS = ("train", "val", "test")
_SPLIT_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
                "test": "test", "testing": "test"}
# Fields whose values are checked one by one.
_CHECKED = {"id", "image_id", "category_id", "bbox", "area", "keypoints", "num_keypoints", "segmentation", "iscrowd"}


def split_of(path: Path) -> str:
    """Guesses from a file's name which split it is: ``person_keypoints_val2017.json`` is ``val``; else its stem."""
    words = re.findall(r"[a-z]+", path.stem.lower())
    return next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), path.stem)


def find_coco_files(source: Path) -> dict[str, Path]:
    """The COCO files of a data set's folder, by split.

    Args:
        source: A folder with ``train_coco.json`` and perhaps ``val_coco.json`` and ``test_coco.json``, or one file.

    Raises:
        UserError: There is no such file.
    """
    if source.is_file():
        split = split_of(source)
        return {split if split in SPLITS else "train": source}
    found = {split: source / f"{split}_coco.json" for split in SPLITS}
    found = {split: path for split, path in found.items() if path.is_file()}
    if not found:
        raise UserError(f"{source}: no such file, or a folder without train_coco.json, val_coco.json or test_coco.json")
    return found


def read_sides(files: Mapping[str, Path], images: Path,
               notes: list[str] | None = None) -> tuple[dict[str, dict[str, Any]], list[Fault]]:
    """Reads and checks the COCO files of a data set that is to be written again elsewhere.

    What another tool writes differently, but with one meaning, is brought to the contract; see
    :mod:`pose_tools.formats.coco_dialects`.

    Args:
        files: COCO files by split.
        images: Where their images are.
        notes: Gets a line for each kind of thing that was read differently than it is written.

    Returns:
        The contents by split, and their faults; among these ``file_name`` that are absolute or contain ``..``, which
        would be written outside of the new folder, segmentations that are neither polygons nor a run-length code, and
        fields that are kept but cannot be written again.

    Raises:
        FaultsError: All files that are no COCO files.
    """
    loaded, broken = {}, []
    for split, path in files.items():
        try:
            loaded[split] = load_coco(path)
        except FaultsError as error:
            broken += error.faults
    if broken:
        raise FaultsError(broken)
    sides, faults = {}, []
    for split, path in files.items():
        sides[split], more = check_side(loaded[split], path, images, [] if notes is None else notes)
        faults += more
    return sides, faults


def check_side(data: Mapping[str, Any], path: Path, images: Path,
               notes: list[str]) -> tuple[dict[str, Any], list[Fault]]:
    """Brings one COCO file's contents to the contract and checks them; as :func:`read_sides`."""
    data, told = normalise_coco(data)
    data, more = locate_images(data, images)
    notes += [f"{path.name}: {line}" for line in (*told, *more)]
    return data, [*coco_faults(data, path, image_dir=images), *_outside(data, path), *_field_faults(data, path)]


def _outside(data: Mapping[str, Any], path: Path) -> list[Fault]:
    named = [image for image in data["images"] if isinstance(image.get("file_name"), str)]
    return [Fault(path, f"file_name {image['file_name']!r} leads outside of the images' folder", f"image {image['id']}")
            for image in named if leads_outside(image["file_name"])]


def _field_faults(data: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    for part, one in (("categories", "category"), ("annotations", "annotation")):
        for entry in data[part]:
            other = {key: value for key, value in entry.items() if key not in _CHECKED}
            if other and not _is_writable(other):
                yield Fault(path, "has a field that holds NaN, infinity or broken text", f"{one} {entry['id']}")
    for annotation in data["annotations"]:
        place = f"annotation {annotation['id']}"
        if not _is_segmentation(annotation["segmentation"]):
            said = str(annotation["segmentation"])[:60]
            yield Fault(path, f"segmentation {said} is neither polygons of x, y pairs nor a run-length code", place)
        if annotation["iscrowd"] not in (0, 1):
            yield Fault(path, f"iscrowd is {str(annotation['iscrowd'])[:60]}; expected 0 or 1", place)


def _is_segmentation(value: Any) -> bool:
    if isinstance(value, dict):
        return {"counts", "size"} <= set(value) and _is_writable(value)
    return isinstance(value, list) and all(isinstance(part, list) and len(part) % 2 == 0 and are_numbers(part)
                                           for part in value)


def _is_writable(value: Any) -> bool:
    """Whether JSON has words for a value: not for NaN, infinity and half of a surrogate pair."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except ValueError:
        return False
    return True


def leads_outside(name: str) -> bool:
    """Whether a file name is absolute or climbs by ``..``, on Linux or on Windows."""
    return any(path.is_absolute() or path.drive or ".." in path.parts
               for path in (PurePosixPath(name), PureWindowsPath(name)))


def image_sources(sides: Mapping[str, Mapping[str, Any]], files: Mapping[str, Path],
                  images: Path) -> tuple[dict[str, list[ImageSource]], list[Fault]]:
    """Looks at all images of a data set before anything is written.

    Args:
        sides: Contents without faults, by split.
        files: The COCO files they are from.
        images: Where the images are.

    Returns:
        How to take each image, in the order of ``images``; and the faults: images that are missing, broken or of
        another size (px, after EXIF orientation) than the COCO file says, so that labels would be drawn elsewhere.
    """
    sources: dict[str, list[ImageSource]] = {}
    faults = []
    for split, data in sides.items():
        sources[split] = []
        for image in progress(data["images"], f"checking {split}"):
            path = images / image["file_name"]
            try:
                source = source_of(path, read_header(path))
            except ImageError as error:
                faults.append(Fault(path, str(error)))
                continue
            if fault := size_fault(source, (image["width"], image["height"]), files[split]):
                faults.append(fault)
            sources[split].append(source)
    return sources, faults


def size_fault(source: ImageSource, size: tuple[float, float], file: Path) -> Fault | None:
    """Tells that an image is not of the size (width, height in px) that a file says."""
    if source.size == tuple(size):
        return None
    return Fault(source.origin, "is {}x{} px; {} says {:g}x{:g}".format(*source.size, file.name, *size))
