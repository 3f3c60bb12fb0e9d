"""The annotations of one COCO file as arrays, so that checks of 50,000 of them take moments."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_tools.dataset.annotation_checks import are_numbers, is_box, is_number, place_of
from pose_tools.dataset.findings import WARNING, Finding
from pose_tools.formats.schema import KeypointSet

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class InstanceTable:
    """N annotations of one file that can be reckoned with; coordinates are image px.

    Attributes:
        path: The COCO file.
        annotations: Their entries.
        images: Their images' entries.
        classes: (N,) indices into the keypoint set's classes; -1 for categories that are none of them.
        boxes: (N, 4) left, top, width and height; width and height above 0.
        points: (N, K, 2); what is not labelled is NaN.
        visibility: (N, K) 0, 1 or 2.
        sizes: (N, 2) width and height of the image; NaN where the file does not say.
    """

    path: Path
    annotations: list[Entry]
    images: list[Entry]
    classes: np.ndarray
    boxes: np.ndarray
    points: np.ndarray
    visibility: np.ndarray
    sizes: np.ndarray

    @property
    def labelled(self) -> np.ndarray:
        """(N, K) whether a keypoint is labelled."""
        return self.visibility > 0

    @property
    def scales(self) -> np.ndarray:
        """(N,) the square root of the box's area in px: one box unit."""
        return np.sqrt(self.boxes[:, 2] * self.boxes[:, 3])

    @property
    def poses(self) -> np.ndarray:
        """(N, K, 2) keypoints in box units, relative to the box's centre."""
        centres = self.boxes[:, :2] + self.boxes[:, 2:] / 2
        return (self.points - centres[:, None]) / self.scales[:, None, None]

    def __len__(self) -> int:
        return len(self.annotations)

    def warn(self, row: int, rule: str, what: str, suspicion: float, keypoints: tuple[str, ...] = ()) -> Finding:
        """Says something about one annotation."""
        ann, image = self.annotations[row], self.images[row]
        return Finding(self.path, what, place_of(ann, image), rule, WARNING, image["id"], ann["id"], keypoints,
                       float(suspicion))


def make_table(data: Entry, path: Path, names: KeypointSet) -> InstanceTable:
    """Collects the annotations of a COCO file that have a sound box and, if any, sound keypoints.

    Args:
        data: The file's contents; what is unsound is left out, as are crowds.
        path: Named in findings.
        names: Classes and the K keypoints.
    """
    images = {image["id"]: image for image in data["images"]}
    order = {name: place for place, name in enumerate(names.classes)}
    places = {category["id"]: order.get(category.get("name"), -1) for category in data["categories"]}
    count = len(names.keypoints)
    kept, rows = [], []
    nothing = [0] * (3 * count)
    for ann in data["annotations"]:
        points = ann.get("keypoints") or nothing
        image_id, category_id = ann.get("image_id"), ann.get("category_id")
        if not all(isinstance(key, (int, str)) for key in (image_id, category_id)) or ann.get("iscrowd"):
            continue
        if image_id not in images or category_id not in places or not is_box(ann.get("bbox")):
            continue
        if min(ann["bbox"][2:]) > 0 and isinstance(points, (list, tuple)) and len(points) == 3 * count \
                and are_numbers(points):
            kept.append(ann)
            rows.append(points)
    values = np.array(rows, float).reshape(len(kept), count, 3)
    visibility = np.where(np.isin(values[..., 2], (1, 2)), values[..., 2], 0).astype(np.int8)
    own = [images[ann["image_id"]] for ann in kept]
    sizes = [[side if is_number(side) and side > 0 else np.nan for side in (image.get("width"), image.get("height"))]
             for image in own]
    return InstanceTable(
        path, kept, own, np.array([places[ann["category_id"]] for ann in kept], int),
        np.array([ann["bbox"] for ann in kept], float).reshape(-1, 4),
        np.where(visibility[..., None] > 0, values[..., :2], np.nan), visibility,
        np.array(sizes, float).reshape(-1, 2))
