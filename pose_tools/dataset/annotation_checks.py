"""What is wrong with single annotations of a COCO keypoint file; coordinates are image px."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pose_tools.dataset.findings import Finding
from pose_tools.formats.coco_structure import is_number
from pose_tools.formats.schema import KeypointSet

# A box may reach this share of the image's width or height beyond its border, as boxes of cut-off objects do.
_ROOM = 0.25

_PLAIN = {int, float}

Entry = Mapping[str, Any]
Found = tuple[str, str]  # a rule's name and what is wrong


def are_numbers(values: Sequence[Any]) -> bool:
    """Whether JSON values are all finite numbers; fast for those that are."""
    try:
        if set(map(type, values)) <= _PLAIN and is_number(sum(map(abs, values))):
            return True
    except OverflowError:  # a whole number that no float can hold
        return False
    return all(map(is_number, values))


def is_box(value: Any) -> bool:
    """Whether a JSON value is four finite numbers."""
    return isinstance(value, (list, tuple)) and len(value) == 4 and all(map(is_number, value))


def _box_fault(ann: Entry, image: Entry) -> Found | None:
    box = ann.get("bbox")
    if not is_box(box):
        return "box", f"bbox {box!r} is not four finite numbers x, y, w, h"
    x, y, w, h = box
    if w <= 0 or h <= 0:
        return "box", f"bbox is {w:g} x {h:g} px in size"
    width, height = image.get("width"), image.get("height")
    if not all(is_number(side) and side > 0 for side in (width, height)):
        return None
    room_x, room_y = _ROOM * width, _ROOM * height
    outside = x >= width or y >= height or x + w <= 0 or y + h <= 0
    if outside or x < -room_x or y < -room_y or x + w > width + room_x or y + h > height + room_y:
        what = f"bbox [{x:g}, {y:g}, {w:g}, {h:g}] lies outside its image of {width:g}x{height:g} px"
        return "box-outside", what
    return None


def _area_fault(ann: Entry) -> Found | None:
    area = ann.get("area")
    if area is None:
        return "area", "area is missing; OKS and COCO's AP need it"
    if not is_number(area) or area <= 0:
        return "area", f"area is {area!r}; OKS divides by it"
    # Some converters write 1 everywhere, and OKS then calls every prediction wrong.
    large = is_box(ann.get("bbox")) and ann["bbox"][2] * ann["bbox"][3] > 4
    return ("area", "area is 1, a placeholder; expected the object's area in px") if area == 1 and large else None


def _keypoint_faults(ann: Entry, count: int | None) -> Iterator[Found]:
    """Checks the keypoints of an annotation; ``count`` is K, ``None`` when unknown."""
    points = ann.get("keypoints")
    if points is None or (isinstance(points, list) and not points):
        return
    if not isinstance(points, (list, tuple)) or len(points) % 3:
        yield "keypoint-count", "keypoints is not a list of x, y, v triples"
        return
    if count is not None and len(points) != 3 * count:
        yield "keypoint-count", f"has {len(points) // 3} keypoints; expected {count}"
    if not are_numbers(points):
        yield "not-a-number", "keypoints holds something that is not a finite number"
        return
    odd = sorted({v for v in points[2::3] if v not in (0, 1, 2)})
    if odd:
        yield "visibility", f"visibility is {odd[0]!r}; expected 0, 1 or 2"
    labelled = sum(v > 0 for v in points[2::3])
    stated = ann.get("num_keypoints")
    if stated != labelled:
        yield "num-keypoints", f"num_keypoints is {stated!r}, but {labelled} keypoints are labelled"


def annotation_faults(data: Entry, path: Path, names: KeypointSet | None) -> Iterator[Finding]:
    """Checks boxes, areas and keypoints of all annotations.

    Args:
        data: A COCO file's contents.
        path: Named in the faults.
        names: What the config expects; ``None`` to go by the file's categories.
    """
    images = {image["id"]: image for image in data["images"]}
    counts = {category["id"]: len(category["keypoints"]) for category in data["categories"]
              if isinstance(category.get("keypoints"), list) and category["keypoints"]}
    for ann in data["annotations"]:
        image_id, category_id = (ann.get(key) if isinstance(ann.get(key), (int, str)) else None
                                 for key in ("image_id", "category_id"))
        image = images.get(image_id, {})
        count = len(names.keypoints) if names is not None else counts.get(category_id)
        found = [_box_fault(ann, image), _area_fault(ann), *_keypoint_faults(ann, count)]
        for rule, what in filter(None, found):
            yield Finding(path, what, place_of(ann, image), rule, image=image_id, annotation=ann["id"])


def place_of(ann: Entry, image: Entry) -> str:
    """Names an annotation for people: its id and its image's file."""
    name = f" in {image['file_name']}" if isinstance(image.get("file_name"), str) else ""
    return f"annotation {ann['id']}{name}"
