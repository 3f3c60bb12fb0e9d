"""The objects of one COCO file as the doctor looks at them: arrays, and a word about each."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_tools.dataset.annotation_checks import place_of
from pose_tools.dataset.data_set import DataSet
from pose_tools.dataset.findings import WARNING, Finding
from pose_tools.dataset.objects import read_objects
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
    found = read_objects(DataSet({"": path}, {"": dict(data)}, {"": path.parent}), names)
    rows = np.flatnonzero(found.readable)
    classes, visibility = found.class_id[rows], found.visibility[rows]
    return InstanceTable(
        path, [found.annotations[row] for row in rows], [found.images[i] for i in found.image[rows]],
        np.where(classes < len(names.classes), classes, -1), found.boxes[rows],
        np.where(visibility[..., None] > 0, found.keypoints[rows].astype(float), np.nan), visibility,
        found.object_image_size[rows])
