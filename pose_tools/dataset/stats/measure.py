"""The numbers of a data set: counts, visibility, boxes, places and image sizes. Coordinates are image px."""
from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from pose_tools.dataset.objects import CROWD, Objects

Numbers = dict[str, Any]
QUANTILES = {"min": 0, "5 %": 5, "25 %": 25, "median": 50, "75 %": 75, "95 %": 95, "max": 100}


def summary(values: np.ndarray) -> dict[str, float] | None:
    """Minimum, percentiles and maximum; NaN is left out, None when nothing is left."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    return {name: float(value) for name, value in zip(QUANTILES, np.percentile(values, list(QUANTILES.values())))}


def numbers_of(objects: Objects) -> Numbers:
    """Everything that is counted and measured, as plain values.

    Args:
        objects: The data set.

    Returns:
        ``splits``, ``classes``, ``keypoints``, ``boxes``, ``boxes_by_class``, ``places`` and ``images``; see
        :func:`split_numbers`, :func:`class_numbers`, :func:`keypoint_numbers`, :func:`box_numbers`,
        :func:`place_numbers` and :func:`image_numbers`.
    """
    return {
        "splits": {name: split_numbers(objects, i) for i, name in enumerate(objects.splits)},
        "classes": class_numbers(objects),
        "keypoints": keypoint_numbers(objects),
        "boxes": box_numbers(objects),
        "places": place_numbers(objects),
        "images": image_numbers(objects),
    }


def objects_per_image(objects: Objects, split: int) -> np.ndarray:
    """(M,) number of objects of each image of a split."""
    counts = np.bincount(objects.image, minlength=len(objects.image_split))
    return counts[objects.image_split == split]


def split_numbers(objects: Objects, split: int) -> Numbers:
    """Counts of one split.

    Args:
        objects: The data set.
        split: Index of the split.

    Returns:
        ``images``, ``without_objects``, ``objects``, ``with_keypoints``, ``per_image`` (mean and largest),
        ``classes`` (objects by class), ``crowd_regions`` and ``left_out`` (annotations by reason).
    """
    mine, per_image = objects.split == split, objects_per_image(objects, split)
    classes = np.bincount(objects.class_id[mine], minlength=len(objects.classes))
    left_out = dict(objects.left_out[split])
    crowds = left_out.pop(CROWD, 0)
    return {
        "images": len(per_image),
        "without_objects": int((per_image == 0).sum()),
        "objects": int(mine.sum()),
        "with_keypoints": int(objects.labelled[mine].sum()),
        "per_image": {"mean": float(per_image.mean()) if len(per_image) else 0.0, "max": int(per_image.max(initial=0))},
        "classes": dict(zip(objects.classes, classes.tolist())),
        "crowd_regions": crowds,
        "left_out": left_out,
    }


def class_numbers(objects: Objects) -> list[Numbers]:
    """Counts and median boxes of each class that has objects: ``name``, ``objects``, ``visible``, ``occluded``,
    ``not_labelled`` (keypoints), ``width``, ``height`` (medians, px) and ``aspect`` (w / h, median).
    """
    found = []
    for number, name in enumerate(objects.classes):
        rows = objects.class_id == number
        if rows.any():
            w, h = objects.boxes[rows, 2:].T
            v = _visibility(objects.visibility[rows].ravel())
            found.append({"name": name, "objects": int(rows.sum()), **v, "width": float(np.median(w)),
                          "height": float(np.median(h)), "aspect": float(np.median(w / h))})
    return found


def _visibility(values: np.ndarray) -> dict[str, int]:
    return _named(np.bincount(values, minlength=3))


def _named(counts: np.ndarray) -> dict[str, int]:
    none, occluded, visible = counts.tolist()
    return {"visible": visible, "occluded": occluded, "not_labelled": none}


def keypoint_numbers(objects: Objects) -> list[Numbers]:
    """Visibility of each keypoint over the objects that have any.

    Returns:
        For each: ``name``, ``visible``, ``occluded``, ``not_labelled``, ``outside_box`` (labelled points beyond their
        object's box) and, with several classes, ``classes``: the same three counts by class.
    """
    rows = objects.labelled
    v, class_id = objects.visibility[rows], objects.class_id[rows]
    where = box_positions(objects)[rows]
    outside = ((where < 0) | (where > 1)).any(axis=2) & (v > 0)
    present, place = np.unique(class_id, return_inverse=True)
    found = []
    for k, name in enumerate(objects.names.keypoints):
        one: Numbers = {"name": name, **_visibility(v[:, k]), "outside_box": int(outside[:, k].sum())}
        if len(present) > 1:
            counts = np.bincount(3 * place + v[:, k], minlength=3 * len(present)).reshape(-1, 3)
            one["classes"] = {objects.classes[c]: _named(row) for c, row in zip(present, counts)}
        found.append(one)
    return found


def box_positions(objects: Objects) -> np.ndarray:
    """(N, K, 2) where keypoints lie in their box: 0 at its left and top, 1 at its right and bottom."""
    return ((objects.keypoints - objects.boxes[:, None, :2]) / objects.boxes[:, None, 2:]).astype(np.float32)


def box_numbers(objects: Objects) -> dict[str, dict[str, float] | None]:
    """Quantiles of boxes: ``width``, ``height``, ``short_side`` and ``scale`` (sqrt(w h)) in px, ``share`` of the
    image's area, and ``aspect`` (w / h).
    """
    w, h = objects.boxes[:, 2:].T
    return {"width": summary(w), "height": summary(h), "short_side": summary(np.minimum(w, h)),
            "scale": summary(np.sqrt(w * h)), "share": summary(box_shares(objects)), "aspect": summary(w / h)}


def box_shares(objects: Objects) -> np.ndarray:
    """(N,) area of the box inside its image as a share of the image's; NaN where its size is unknown."""
    size = objects.object_image_size
    low, high = np.clip(objects.boxes[:, :2], 0, size), np.clip(objects.boxes[:, :2] + objects.boxes[:, 2:], 0, size)
    return ((high - low) / size).prod(axis=1)


def centres(objects: Objects) -> np.ndarray:
    """(N, 2) centre of each box as shares of the image's width and height; NaN where its size is unknown."""
    return (objects.boxes[:, :2] + objects.boxes[:, 2:] / 2) / objects.object_image_size


def coverage(objects: Objects, cells: int = 60) -> np.ndarray:
    """How many of the boxes cover each place of an image.

    Args:
        objects: The data set.
        cells: C, how fine the places are.

    Returns:
        (C, C) shares of the objects, rows from the top; a place counts as covered when its cell is touched.
    """
    size = objects.object_image_size
    known = ~np.isnan(size).any(axis=1)
    boxes, size = objects.boxes[known], size[known]
    low = np.clip(np.floor(boxes[:, :2] / size * cells), 0, cells - 1).astype(int)
    high = np.clip(np.ceil((boxes[:, :2] + boxes[:, 2:]) / size * cells), low + 1, cells).astype(int)
    # Each box adds 1 to a rectangle: put +1 and -1 at its corners and sum up once for all of them.
    corners = np.zeros((cells + 1, cells + 1))
    for xs, ys, sign in ((low, low, 1), (high, low, -1), (low, high, -1), (high, high, 1)):
        np.add.at(corners, (ys[:, 1], xs[:, 0]), sign)
    return corners.cumsum(axis=0).cumsum(axis=1)[:cells, :cells] / max(1, len(boxes))


def place_numbers(objects: Objects) -> Numbers:
    """Where objects are: quantiles of ``x`` and ``y``, the boxes' centres as shares of the image, and
    ``at_border``, the share of the boxes that come within 1 px of the image's border (None when unknown).
    """
    middle, size = centres(objects), objects.object_image_size
    known = ~np.isnan(size).any(axis=1)
    high = objects.boxes[:, :2] + objects.boxes[:, 2:]
    touches = (objects.boxes[:, :2] <= 1).any(axis=1) | (high >= size - 1).any(axis=1)
    at_border = float(touches[known].mean()) if known.any() else None
    return {"x": summary(middle[:, 0]), "y": summary(middle[:, 1]), "at_border": at_border}


def image_numbers(objects: Objects) -> Numbers:
    """Image sizes: quantiles of ``width`` and ``height``, ``sizes`` (number of images by "W x H", the most frequent
    first), ``wide``, ``high`` and ``square`` shares, and ``unknown``, how many images do not tell.
    """
    size = objects.image_size
    known = size[~np.isnan(size).any(axis=1)]
    w, h = known.T
    count = max(1, len(known))
    names = Counter(f"{w:g} x {h:g}" for w, h in known.tolist())
    return {"width": summary(w), "height": summary(h), "sizes": dict(names.most_common()),
            "wide": float((w > h).sum() / count), "high": float((w < h).sum() / count),
            "square": float((w == h).sum() / count), "unknown": len(size) - len(known)}
