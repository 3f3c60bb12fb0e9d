"""Which input size suits a data set: rules, and the numbers they go by.

Keypoint model. mmpose cuts out each box, made 1.25 times as wide and high and then extended to the input's aspect, and
scales it to the input (``GetBBoxCenterScale``, ``TopdownAffine``). An object is so shown at the *zoom*
``min(W / (1.25 w), H / (1.25 h))`` input px per image px, and ``1 - min(a / A, A / a)`` of the input stays unused, for
a box of aspect ``a = w / h`` in an input of aspect ``A = W / H``. With everything on a log scale the size lost to the
aspect is ``|log a - log A|``, whose mean is least where ``A`` is the *median* aspect. The rule:

1. Only sizes count whose aspect is within a fifth of the median, where there are any, so that the typical padded box
   fills the input.
2. A zoom above 1 counts as 1: the pixels hold no more.
3. Of all sizes that cost no more than the present one (5 % over is no more), take the one that shows the objects
   largest: greatest mean of log zoom. Of those that come within 5 % of it, take the cheapest.
4. If errors of one input px alone, which is about what a trained model leaves, bring the OKS of the median object
   below 0.95, the last threshold of COCO's AP, take the cheapest size of up to four times the cost that does not.
5. Keep the present size where it has the shape and the change would show objects less than 5 % larger and save less
   than 15 %.

Detector. Images are scaled as a whole to fit the input (mmcv ``rescale_size``: long side to long side, whichever is
which) and padded to it. The rule: as 2, 3 and 5 with images for objects. If one object in ten then has a short side
below 16 px, two cells of the finest stride (8), the cheapest size of up to four times the cost without that, enlarging
images twice at most. Sets with both wide and high images get a square: training cuts windows of W x H, and in a wide
one a high image, which is not scaled to fit it, loses its top and bottom.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pose_tools.dataset.objects import Objects
from pose_tools.dataset.stats.input_fit import (
    CLEAR_SIDE,
    DetectorFit,
    PoseBoxes,
    PoseFit,
    cost,
    detector_images,
    pose_boxes,
)
from pose_tools.dataset.stats.input_geometry import Size, zooms

POSE_INPUT: Size = (256, 256)  # of configs/_base_/rtmpose.py
DETECTOR_INPUT: Size = (640, 640)  # of configs/_base_/rtmdet.py
USUAL_POSE_INPUTS: tuple[Size, ...] = ((192, 96), (96, 192), (128, 128), (192, 256), (256, 192), (256, 256), (288, 384),
                                       (384, 288))
USUAL_DETECTOR_INPUTS: tuple[Size, ...] = ((320, 320), (640, 384), (640, 480), (640, 640), (960, 960), (1280, 1280))
STRIDE = 32
LEAST_OKS = 0.95
SAME_COST, MOST_COST, SAME_SIZE, SAVING = 1.05, 4.0, 1.05, 0.85
MIXED = 0.1
SHAPE = 1.2
_POSE_SIDES = range(64, 512 + 1, STRIDE)
_DETECTOR_SIDES = range(128, 1536 + 1, STRIDE)


@dataclass(frozen=True)
class PoseAdvice:
    """The keypoint model's input size.

    Attributes:
        current: The present one.
        best: The recommended one.
        table: Both and others to compare, by cost.
        box: Median width and height of the objects' boxes, image px.
        aspect: Median of their width / height.
        count: Number of objects this goes by.
    """

    current: PoseFit
    best: PoseFit
    table: tuple[PoseFit, ...]
    box: tuple[float, float]
    aspect: float
    count: int


@dataclass(frozen=True)
class DetectorAdvice:
    """The detector's input size.

    Attributes:
        current: The present one.
        best: The recommended one.
        table: Both and others to compare, by cost.
        image: The most frequent image size, px.
        mixed: Whether at least one image in ten is wide and one in ten high.
        count: Number of images this goes by.
    """

    current: DetectorFit
    best: DetectorFit
    table: tuple[DetectorFit, ...]
    image: tuple[float, float]
    mixed: bool
    count: int


def closest_aspect(aspects: Sequence[float] | np.ndarray, sizes: Sequence[Size]) -> Size:
    """The one of a few sizes whose aspect is closest to the median of ``aspects`` (w / h), as ratios go."""
    middle = np.log(np.median(aspects))
    return min(sizes, key=lambda size: abs(np.log(size[0] / size[1]) - middle))


def _choose(sizes: Sequence[Size], current: Size, value: Callable[[Size], float]) -> Size:
    """Rules 3 and 5: the cheapest size near the best of those that cost no more.

    Args:
        sizes: To choose from.
        current: The present size.
        value: Mean log zoom of a size.
    """
    best = _cheapest_near_best(sizes, current, value, SAME_COST)
    if best is None or (current in sizes and value(current) >= value(best) - np.log(SAME_SIZE)
                        and cost(best, current) > SAVING):
        return current
    return best


def _cheapest_near_best(sizes: Sequence[Size], current: Size, value: Callable[[Size], float],
                        budget: float) -> Size | None:
    values = {size: value(size) for size in sizes if cost(size, current) <= budget}
    near = max(values.values(), default=0.0) - np.log(SAME_SIZE)
    return min((size for size in values if values[size] >= near), key=lambda s: (s[0] * s[1], -values[s]), default=None)


def pose_advice(objects: Objects, current: Size = POSE_INPUT) -> PoseAdvice | None:
    """Recommends an input size for the keypoint model.

    Args:
        objects: The data set; what counts are objects with labelled keypoints.
        current: (W, H) of the present input, px.

    Returns:
        The advice; None without labelled keypoints.
    """
    boxes = pose_boxes(objects, current)
    if boxes is None:
        return None
    aspect = float(np.median(boxes.sides[:, 0] / boxes.sides[:, 1]))
    sizes = _shaped(aspect, current)
    best = _exact(boxes, sizes, _choose(sizes, current, boxes.value))
    others = (_cheapest_near_best(sizes, current, boxes.value, factor * cost(best, current)) for factor in (0.5, 2))
    shown = {current, best, *USUAL_POSE_INPUTS, *filter(None, others)}
    fits = {size: boxes.fit(size) for size in sorted(shown, key=lambda s: (s[0] * s[1], s[0]))}
    w, h = np.median(boxes.sides, axis=0).tolist()
    return PoseAdvice(fits[current], fits[best], tuple(fits.values()), (w, h), aspect, len(boxes.sides))


def _exact(boxes: PoseBoxes, sizes: Sequence[Size], best: Size) -> Size:
    """Rule 4: the cheapest size at which errors of a pixel leave OKS high; the largest of use where none does."""
    if not boxes.sigmas or boxes.oks(best) >= LEAST_OKS:
        return best
    value = {size: boxes.value(size) for size in sizes}
    dearer = [size for size in sizes if cost(best, boxes.current) < cost(size, boxes.current) <= MOST_COST
              and np.median(zooms(boxes.sides, size)) <= 1 and value[size] > value[best]]
    enough = [size for size in dearer if boxes.oks(size) >= LEAST_OKS]
    if enough:
        return min(enough, key=lambda size: (size[0] * size[1], -value[size]))
    return max(dearer, key=lambda size: (value[size], -size[0] * size[1]), default=best)


def _shaped(aspect: float, current: Size) -> list[Size]:
    """Rule 1: sizes of about an aspect; the closest there are where there is none."""
    sizes = {(w, h) for w in _POSE_SIDES for h in _POSE_SIDES} | {current}
    off = {(w, h): max(w / h / aspect, aspect * h / w) for w, h in sizes}
    limit = max(SHAPE, min(off.values()))
    return sorted(size for size in sizes if off[size] <= limit)


def detector_advice(objects: Objects, current: Size = DETECTOR_INPUT) -> DetectorAdvice | None:
    """Recommends an input size for the detector.

    Args:
        objects: The data set.
        current: (W, H) of the present input, px.

    Returns:
        The advice; None when no image's size is known.
    """
    images = detector_images(objects, current)
    if images is None:
        return None
    wide, high = (images.share(test) for test in (images.kinds[:, 0] > images.kinds[:, 1],
                                                  images.kinds[:, 0] < images.kinds[:, 1]))
    mixed = min(wide, high) >= MIXED
    sizes = [(w, h) for w, h in {current, *((w, h) for w in _DETECTOR_SIDES for h in _DETECTOR_SIDES)}
             if (w == h if mixed else w <= h if high > wide else w >= h)]
    best = _enlarge(images.fit(_choose(sizes, current, images.value)), sizes, images.fit)
    shown = {current, best.size, *(size if high <= wide else size[::-1] for size in USUAL_DETECTOR_INPUTS)}
    fits = {size: images.fit(size) for size in sorted(shown, key=lambda s: (s[0] * s[1], s[0]))}
    usual = tuple(images.kinds[images.counts.argmax()].tolist())
    return DetectorAdvice(fits[current], fits[best.size], tuple(fits.values()), usual, mixed, int(images.counts.sum()))


def _enlarge(best: DetectorFit, sizes: Sequence[Size], fit: Callable[[Size], DetectorFit]) -> DetectorFit:
    """The cheapest size at which nine objects in ten are clear; the best there is where none does."""
    if best.side is None or best.side >= CLEAR_SIDE:
        return best
    found = best
    for size in sorted(sizes, key=lambda s: s[0] * s[1]):
        tried = fit(size)
        if not best.cost < tried.cost <= MOST_COST or tried.zoom > 2 or tried.unused > best.unused + 0.05:
            continue
        if tried.side >= CLEAR_SIDE:
            return tried
        found = max(found, tried, key=lambda one: one.side)
    return found
