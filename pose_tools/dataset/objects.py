"""The objects of a COCO data set as columns of numbers; coordinates are image px.

What cannot be measured, such as a box of no size, is left out and counted, never raised: measuring is not checking.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pose_tools.console import progress
from pose_tools.dataset.annotation_checks import is_box
from pose_tools.dataset.data_set import DataSet
from pose_tools.formats.coco_structure import is_number
from pose_tools.formats.schema import KeypointSet

Entry = Mapping[str, Any]
# Reasons for leaving something out. Without its keypoints an object is kept.
CROWD = "crowd region"
KEYPOINTS = "keypoints that cannot be read"


@dataclass(frozen=True)
class Objects:
    """M images and N objects with K keypoints.

    Attributes:
        names: The keypoint set.
        classes: Its classes, and behind them those that only the files name.
        splits: Names of the splits.
        image_split: (M,) index of the image's split.
        image_size: (M, 2) width and height, px; NaN where the file does not say.
        split: (N,) index of the object's split.
        class_id: (N,) index into ``classes``.
        image: (N,) index of the object's image.
        annotations: The N entries in the files.
        images: The M entries in the files.
        readable: (N,) whether the keypoints could be read, if there are any.
        boxes: (N, 4) x, y, w, h, image px, of positive size.
        areas: (N,) px²: what the file says, w * h where it says nothing of use.
        keypoints: (N, K, 2), image px; 0 where not labelled.
        visibility: (N, K), 0 not labelled, 1 occluded, 2 visible.
        left_out: How many annotations, or parts of them, were left out, by reason, for each split.
    """

    names: KeypointSet
    classes: tuple[str, ...]
    splits: tuple[str, ...]
    image_split: np.ndarray
    image_size: np.ndarray
    split: np.ndarray
    class_id: np.ndarray
    image: np.ndarray
    annotations: list[Entry]
    images: list[Entry]
    readable: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    keypoints: np.ndarray
    visibility: np.ndarray
    left_out: tuple[Counter[str], ...]

    @property
    def object_image_size(self) -> np.ndarray:
        """(N, 2) width and height of each object's image, px; NaN where unknown."""
        return self.image_size[self.image]

    @property
    def labelled(self) -> np.ndarray:
        """(N,) whether an object has a labelled keypoint: what a keypoint model learns from."""
        return (self.visibility > 0).any(axis=1)

    def clipped_boxes(self) -> np.ndarray:
        """(N, 4) boxes inside their images, which is what mmpose crops by (``BaseCocoStyleDataset``), image px."""
        size = self.object_image_size
        room = np.where(np.isnan(size), np.inf, size - 1)
        low = np.clip(self.boxes[:, :2], 0, room)
        high = np.clip(self.boxes[:, :2] + self.boxes[:, 2:], 0, room)
        return np.concatenate([low, high - low], axis=1)


@dataclass
class _Columns:
    split: list[int] = field(default_factory=list)
    class_id: list[int] = field(default_factory=list)
    image: list[int] = field(default_factory=list)
    annotations: list[Entry] = field(default_factory=list)
    boxes: list[list[float]] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    points: list[np.ndarray] = field(default_factory=list)


def read_objects(data_set: DataSet, names: KeypointSet) -> Objects:
    """Turns annotations into columns.

    Args:
        data_set: COCO files.
        names: Their keypoint set; keypoints of another number are left out.
    """
    classes, categories = _classes(data_set, names)
    columns, left_out = _Columns(), tuple(Counter[str]() for _ in data_set.sides)
    image_split: list[int] = []
    image_size: list[tuple[float, float]] = []
    for number, (split, data) in enumerate(data_set.sides.items()):
        first = len(image_split)
        index = {image["id"]: first + i for i, image in enumerate(data["images"])}
        image_size += [_size(image) for image in data["images"]]
        image_split += [number] * len(data["images"])
        for ann in progress(data["annotations"], f"measuring {split}"):
            reason = _why_not(ann, index, categories[split], image_size)
            if reason:
                left_out[number][reason] += 1
                continue
            columns.split.append(number)
            columns.class_id.append(categories[split][ann["category_id"]])
            columns.image.append(index[ann["image_id"]])
            columns.annotations.append(ann)
            columns.boxes.append(ann["bbox"])
            columns.areas.append(_area(ann))
            columns.points.append(_keypoints(ann, len(names.keypoints)))
    images = [image for data in data_set.sides.values() for image in data["images"]]
    return _as_arrays(columns, names, classes, tuple(data_set.sides), images, image_split, image_size, left_out)


def _as_arrays(columns: _Columns, names: KeypointSet, classes: tuple[str, ...], splits: tuple[str, ...],
               images: list[Entry], image_split: list[int], image_size: list[tuple[float, float]],
               left_out: tuple[Counter[str], ...]) -> Objects:
    split = np.array(columns.split, int)
    points = np.zeros((len(columns.points), len(names.keypoints), 3), np.float32)
    if columns.points:
        np.stack(columns.points, out=points)
    v = points[..., 2]
    # Coordinates of what is not labelled mean nothing and may be anything.
    unusable = ~np.isin(v, (0, 1, 2)) | ((v > 0) & ~np.isfinite(points).all(axis=-1))
    unreadable = unusable.any(axis=1)
    for number, counts in enumerate(left_out):
        counts[KEYPOINTS] += int(unreadable[split == number].sum())
    points[unreadable] = 0
    points[points[..., 2] == 0] = 0
    return Objects(names, classes, splits, np.array(image_split, int), np.array(image_size, float).reshape(-1, 2),
                   split, np.array(columns.class_id, int), np.array(columns.image, int), columns.annotations, images,
                   ~unreadable, np.array(columns.boxes, float).reshape(-1, 4), np.array(columns.areas, float),
                   points[..., :2], points[..., 2].astype(np.int8), tuple(+counts for counts in left_out))


def _classes(data_set: DataSet, names: KeypointSet) -> tuple[tuple[str, ...], dict[str, dict[Any, int]]]:
    """All class names, and for each split the index by category id."""
    found = {split: {category["id"]: str(category.get("name")) for category in data["categories"]}
             for split, data in data_set.sides.items()}
    every = tuple(dict.fromkeys([*names.classes, *(name for ids in found.values() for name in ids.values())]))
    number = {name: i for i, name in enumerate(every)}
    return every, {split: {key: number[name] for key, name in ids.items()} for split, ids in found.items()}


def _size(image: Mapping[str, Any]) -> tuple[float, float]:
    size = image.get("width"), image.get("height")
    return size if all(is_number(side) and side > 0 for side in size) else (np.nan, np.nan)  # type: ignore[return-value]


def _known(value: Any, known: Mapping[Any, int]) -> bool:
    return isinstance(value, (int, str)) and value in known


def _why_not(ann: Mapping[str, Any], images: Mapping[Any, int], categories: Mapping[Any, int],
             sizes: list[tuple[float, float]]) -> str:
    """Why an annotation cannot be measured; empty when it can."""
    if not _known(ann.get("image_id"), images):
        return "of an image that is not in the file"
    if not _known(ann.get("category_id"), categories):
        return "of a class that is not in the file"
    if ann.get("iscrowd"):
        return CROWD
    box = ann.get("bbox")
    if not is_box(box):
        return "without a box of four finite numbers"
    x, y, w, h = box
    if w <= 0 or h <= 0:
        return "with a box of no size"
    width, height = sizes[images[ann["image_id"]]]
    # Comparisons with the NaN of an unknown size are false. Models see nothing of a box on the border's last px.
    if x + w <= 0 or y + h <= 0 or x >= width - 1 or y >= height - 1:
        return "with a box outside its image"
    return ""


def _area(ann: Mapping[str, Any]) -> float:
    area = ann.get("area")
    w, h = ann["bbox"][2:]
    # 1 is what some converters write everywhere.
    return float(area) if is_number(area) and area > 0 and area != 1 else w * h


def _keypoints(ann: Mapping[str, Any], count: int) -> np.ndarray:
    """(K, 3) x, y, v of an annotation, unchecked; zeros where there are none, NaN where they are no triples."""
    values = ann.get("keypoints")
    if not values or not count:
        return np.zeros((count, 3), np.float32)
    points = _numbers(values) if isinstance(values, (list, tuple)) else None
    if points is None or points.shape != (3 * count, ):
        return np.full((count, 3), np.nan, np.float32)
    return points.reshape(count, 3)


def _numbers(values: Sequence[Any]) -> np.ndarray | None:
    if not set(map(type, values)) <= {int, float}:
        return None
    try:
        with np.errstate(over="ignore"):
            return np.array(values, np.float32)
    except OverflowError:  # an integer beyond what a float can be
        return None
