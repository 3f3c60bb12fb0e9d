"""Errors of a COCO file that training survives, and is the worse for: looked for by the doctor only."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pose_tools.dataset.annotation_checks import is_box, place_of
from pose_tools.dataset.findings import WARNING, Finding
from pose_tools.dataset.mirroring import mirrored_poses_occur
from pose_tools.dataset.scaffold import guess_swaps
from pose_tools.formats.coco import is_link
from pose_tools.formats.coco_dialects import counts_from_zero
from pose_tools.formats.coco_structure import is_number
from pose_tools.formats.schema import KeypointSet

Entry = Mapping[str, Any]
# As x, y, w, h so many boxes must leave their image, which they keep to as corners.
_LEAST_EVIDENCE = 2
_LEAST_SHARE = 0.1


def boxes_are_corners(data: Entry) -> bool:
    """Whether all boxes of a file are left, top, right, bottom, though COCO wants left, top, width, height.

    That is so when every box can be corners (right > left, bottom > top) inside of its image, and at least two, and
    one in ten, reach out of it as COCO has them. An object near the origin tells nothing; about half of the others do.
    """
    images = {image["id"]: image for image in data["images"]}
    evidence = total = 0
    for ann in data["annotations"]:
        if not is_box(ann.get("bbox")) or not isinstance(ann.get("image_id"), (int, str)):
            continue
        image = images.get(ann["image_id"], {})
        size = [image.get("width"), image.get("height")]
        x, y, right, bottom = ann["bbox"]
        if right <= x or bottom <= y:
            return False
        if not all(map(is_number, size)):
            continue
        if right > size[0] + 1 or bottom > size[1] + 1:
            return False
        total += 1
        evidence += x + right > size[0] + 1 or y + bottom > size[1] + 1
    return evidence >= max(_LEAST_EVIDENCE, _LEAST_SHARE * total)


def hidden_points(ann: Entry) -> list[int]:
    """Positions of an annotation's keypoints that have v = 0 and yet coordinates."""
    points = ann.get("keypoints")
    if not isinstance(points, (list, tuple)) or len(points) % 3:
        return []
    return [k for k in range(len(points) // 3) if points[3 * k + 2] == 0 and any(points[3 * k:3 * k + 2])]


def file_findings(data: Entry, path: Path, names: KeypointSet | None) -> Iterator[Finding]:
    """Looks for links that count from 0, boxes that are corners, and unlabelled points with coordinates.

    Args:
        data: A COCO file's contents.
        path: Named in the findings.
        names: Its keypoint set, to call points by name.
    """
    for category in data["categories"]:
        place = f"category {category.get('name')!r}"
        if counts_from_zero(category):
            yield Finding(path, "its skeleton counts keypoints from 0; COCO counts from 1", place, "skeleton-base")
        elif bad := _bad_links(category):
            yield Finding(path, f"its skeleton has links that join no two keypoints: {bad}", place, "links", WARNING)
    if boxes_are_corners(data):
        yield Finding(path, "all boxes look like left, top, right, bottom; COCO wants left, top, width, height",
                      rule="xyxy")
    images = {image["id"]: image for image in data["images"]}
    for ann in data["annotations"]:
        hidden = hidden_points(ann)
        if hidden:
            known = names.keypoints if names is not None else ()
            listed = tuple(known[k] if k < len(known) else str(k + 1) for k in hidden)
            image_id = ann.get("image_id") if isinstance(ann.get("image_id"), (int, str)) else None
            yield Finding(path, f"{', '.join(listed)}: v is 0, not labelled, and yet there are coordinates",
                          place_of(ann, images.get(image_id, {})), "hidden-coordinates", image=image_id,
                          annotation=ann["id"], keypoints=listed)


def _bad_links(category: Entry) -> list[Any]:
    names, links = category.get("keypoints"), category.get("skeleton") or []
    if not isinstance(names, list) or not isinstance(links, list):
        return []
    return [pair for pair in links if not is_link(pair, len(names))]


def mirroring_findings(data: Entry, path: Path, names: KeypointSet) -> Iterator[Finding]:
    """Asks whether what ``meta.py`` or the file says about mirroring fits the names and the labels.

    Args:
        data: A COCO file without errors.
        path: Named in the findings.
        names: Its keypoint set.
    """
    swapped = {name for pair in names.swaps for name in pair}
    missing = [pair for pair in guess_swaps(names.keypoints) if not swapped & set(pair)]
    if missing and names.mirror:
        listed = ", ".join(f"{a} and {b}" for a, b in missing)
        yield Finding(path, f"by their names these change places when mirrored, but no swap says so: {listed}",
                      "swaps", "swaps-missing", WARNING, suspicion=10)
    elif names.mirror and not names.swaps and not mirrored_poses_occur(dict(data), names):
        yield Finding(path, "no labelled object looks like a mirrored one and no keypoints change places, and yet "
                      "mirror is on", "mirror", "no-mirror", WARNING, suspicion=10)
