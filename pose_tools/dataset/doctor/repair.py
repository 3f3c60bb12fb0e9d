"""Mending what has one right answer in a COCO keypoint file; every change is logged, nothing else is touched."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose_tools.dataset.annotation_checks import is_box, place_of
from pose_tools.dataset.doctor.file_checks import boxes_are_corners, hidden_points
from pose_tools.formats.coco_dialects import count_from_one, counts_from_zero, number_of, outlines
from pose_tools.formats.coco_structure import is_number
from pose_tools.formats.images import ImageError, read_header
from pose_tools.formats.shapes import bounds, polygon_area

Coco = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """One value that was mended.

    Attributes:
        rule: The rule it had broken.
        where: The annotation, image or category.
        what: The old and the new value.
    """

    rule: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.what}"


def repair(data: Coco, images: Path | None) -> list[Change]:
    """Mends a COCO file's contents in place.

    What is mended: annotation ids that are there twice (renumbered: nothing refers to them); links that count from 0;
    boxes that are corners, where the file as a whole leaves no doubt; boxes that are none where a polygon says what
    they are; numbers written as text; ``area`` missing, 0, 1 or no number (from the polygons, else w * h);
    ``iscrowd`` and ``segmentation`` missing; coordinates of points with v = 0; ``num_keypoints``; sizes of images
    that are missing; ``\\`` in file names. What could be meant in two ways is left alone.

    Args:
        data: What :func:`pose_tools.formats.coco.load_coco` returned; changed.
        images: Folder of the images, for their sizes; ``None`` to leave sizes and file names as they are.

    Returns:
        All changes.
    """
    changes = [*_unique_ids(data), *_links(data)]
    if images is not None:
        changes += _image_entries(data, images)
    changes += _corners(data)
    known = {image["id"]: image for image in data["images"]}
    for ann in data["annotations"]:
        image_id = ann.get("image_id")
        where = place_of(ann, known.get(image_id, {}) if isinstance(image_id, (int, str)) else {})
        for step in _STEPS:
            changes += [Change(rule, where, what) for rule, what in step(ann)]
    return changes


def _unique_ids(data: Coco) -> Iterator[Change]:
    taken = {ann["id"] for ann in data["annotations"]}
    following = max((i for i in taken if isinstance(i, int)), default=0) + 1
    seen = set()
    for ann in data["annotations"]:
        if ann["id"] in seen:
            yield Change("duplicate-id", f"annotation {ann['id']}", f"the second of this id is now {following}")
            ann["id"], following = following, following + 1
        seen.add(ann["id"])


def _links(data: Coco) -> Iterator[Change]:
    for category in data["categories"]:
        if counts_from_zero(category):
            category.update(count_from_one(category))
            yield Change("skeleton-base", f"category {category.get('name')!r}", "links now count from 1")


def _image_entries(data: Coco, folder: Path) -> Iterator[Change]:
    for image in data["images"]:
        name, where = image.get("file_name"), f"image {image['id']}"
        if not isinstance(name, str):
            continue
        straight = name.replace("\\", "/")
        if straight != name and not (folder / name).is_file() and (folder / straight).is_file():
            image["file_name"] = straight
            yield Change("image-missing", where, f"file_name {name!r} -> {straight!r}")
        if all(is_number(image.get(key)) and image[key] > 0 for key in ("width", "height")):
            continue
        try:
            size = read_header(folder / image["file_name"]).upright
        except (ImageError, OSError, ValueError):
            continue
        old = f"{image.get('width')} x {image.get('height')}"
        image["width"], image["height"] = size
        yield Change("image-size", where, f"size {old} -> {size[0]} x {size[1]}, as its file has it")


def _corners(data: Coco) -> Iterator[Change]:
    if not boxes_are_corners(data):
        return
    for ann in data["annotations"]:
        if is_box(ann.get("bbox")):
            x, y, right, bottom = ann["bbox"]
            ann["bbox"] = [x, y, right - x, bottom - y]
            # Whoever took corners for sizes reckoned the area with them.
            if ann.get("area") == right * bottom:
                ann["area"] = (right - x) * (bottom - y)
            yield Change("xyxy", f"annotation {ann['id']}", f"bbox {[x, y, right, bottom]} -> {ann['bbox']}")


Step = Callable[[Coco], Iterator[tuple[str, str]]]


def _numbers(ann: Coco) -> Iterator[tuple[str, str]]:
    for key, rule in (("bbox", "box"), ("keypoints", "not-a-number"), ("area", "area")):
        value = ann.get(key)
        values = value if isinstance(value, list) else [value]
        numbers = list(map(number_of, values))
        if numbers != values:
            ann[key] = numbers if isinstance(value, list) else numbers[0]
            yield rule, f"{key}: numbers written as text are numbers now"


def _box(ann: Coco) -> Iterator[tuple[str, str]]:
    box, corners = ann.get("bbox"), [corner for outline in outlines(ann) for corner in outline]
    if (is_box(box) and min(box[2:]) > 0) or not corners:
        return
    left, top, right, bottom = bounds(corners)
    if right > left and bottom > top:
        ann["bbox"] = [left, top, right - left, bottom - top]
        yield "box", f"bbox {box} -> {ann['bbox']}, the extent of its segmentation"


def _area(ann: Coco) -> Iterator[tuple[str, str]]:
    area, box = ann.get("area"), ann.get("bbox")
    if not is_box(box) or min(box[2:]) <= 0:
        return
    full = box[2] * box[3]
    if is_number(area) and area > 0 and not (area == 1 and full > 4):
        return
    outlined = sum(map(polygon_area, outlines(ann)))
    ann["area"] = outlined or full
    yield "area", f"area {area} -> {ann['area']:.6g}, that of its {'segmentation' if outlined else 'box'}"


def _always_there(ann: Coco) -> Iterator[tuple[str, str]]:
    for key, value in (("iscrowd", 0), ("segmentation", [])):
        if ann.get(key) is None:
            ann[key] = value
            yield "missing-field", f"{key} is now {value}"


def _hidden(ann: Coco) -> Iterator[tuple[str, str]]:
    hidden = hidden_points(ann)
    for k in hidden:
        ann["keypoints"][3 * k:3 * k + 2] = [0, 0]
    if hidden:
        yield "hidden-coordinates", f"coordinates of {len(hidden)} points with v = 0 are now 0"


def _count(ann: Coco) -> Iterator[tuple[str, str]]:
    points = ann.get("keypoints")
    if not isinstance(points, list) or not points or len(points) % 3 or any(v not in (0, 1, 2) for v in points[2::3]):
        return
    labelled, stated = sum(v > 0 for v in points[2::3]), ann.get("num_keypoints")
    if stated != labelled or isinstance(stated, bool):
        ann["num_keypoints"] = labelled
        yield "num-keypoints", f"num_keypoints {stated} -> {labelled}"


_STEPS: tuple[Step, ...] = (_numbers, _box, _area, _always_there, _hidden, _count)
