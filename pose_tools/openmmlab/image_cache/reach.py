"""Which part of a picture the random affine of a keypoint pipeline can reach.

The region around an object is turned, scaled and shifted at random within limits that the pipeline's transforms
state. What they can reach is a rectangle around the object's box; pixels outside it are never read.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
from mmpose.datasets.transforms import GetBBoxCenterScale, LoadImage, RandomBBoxTransform, RandomFlip, TopdownAffine

MARGIN = 4  # px: interpolation reads one pixel further, and boxes are float32
_MOST_TO_MERGE = 64


def affine_steps(transforms: Sequence[Any]) -> Optional[list[Any]]:
    """The steps of a pipeline from loading to the affine.

    Args:
        transforms: Of a pipeline of upstream's.

    Returns:
        The steps between them and the affine, in order; None where there is a step whose reach is not known.
    """
    # A class that somebody derived from upstream's may do anything, so the very classes are asked for.
    starts = [i for i, step in enumerate(transforms) if type(step) is LoadImage]
    ends = [i for i, step in enumerate(transforms) if type(step) is TopdownAffine]
    if len(starts) != 1 or len(ends) != 1 or ends[0] < starts[0]:
        return None
    between, loading = list(transforms[starts[0] + 1:ends[0]]), transforms[starts[0]]
    kinds = [type(step) for step in between]
    known = set(kinds) <= {GetBBoxCenterScale, RandomFlip, RandomBBoxTransform}
    if not known or kinds[:1] != [GetBBoxCenterScale] or kinds.count(RandomBBoxTransform) > 1:
        return None
    plain = loading.color_type == "color" and loading.imdecode_backend == "cv2"
    if not plain or loading.to_float32 or loading.ignore_empty:
        return None
    return [*between, transforms[ends[0]]]


def reach(steps: Sequence[Any], boxes: np.ndarray) -> np.ndarray:
    """Computes what a pipeline can read around boxes.

    Args:
        steps: From :func:`affine_steps`.
        boxes: (N, 4), xyxy in image px.

    Returns:
        (N, 4) int64, x0 y0 x1 y1 in image px, the ends excluded, not clipped to the picture.
    """
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    shift, scale, angle = 0.0, 1.0, 0.0
    for step in steps:
        if isinstance(step, GetBBoxCenterScale):
            size = size * step.padding
        elif isinstance(step, RandomBBoxTransform):  # its normal numbers are cut off at -1 and 1
            shift, angle = abs(step.shift_factor), min(abs(step.rotate_factor), 90.0)
            scale = max(1.0, *step.scale_factor)
    moved = size * shift
    width, height = steps[-1].input_size
    size = size * scale
    wide = np.maximum(size[:, 0], size[:, 1] * width / height)
    half = np.stack([wide, wide * height / width], axis=1) / 2
    radians = math.radians(angle)
    # The greatest of a*cos(t) + b*sin(t) for t up to the angle: at atan(b / a) it is the half diagonal.
    turned = np.empty_like(half)
    for axis in (0, 1):
        a, b = half[:, axis], half[:, 1 - axis]
        t = np.minimum(np.arctan2(b, a), radians)
        turned[:, axis] = a * np.cos(t) + b * np.sin(t)
    low, high = centre - turned - moved - MARGIN, centre + turned + moved + MARGIN
    return np.concatenate([np.floor(low), np.ceil(high) + 1], axis=1).astype(np.int64)


def together(rects: np.ndarray, shape: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Joins rectangles of one picture where one around both takes no more room than both.

    Args:
        rects: (N, 4), x0 y0 x1 y1 in image px.
        shape: (height, width) of the picture.

    Returns:
        Rectangles inside the picture that cover all of ``rects``; the whole picture where nothing is saved.
    """
    height, width = shape
    # Plain numbers: there are a few rectangles in each of very many pictures.
    inside = {(min(max(x0, 0), width), min(max(y0, 0), height), min(max(x1, 0), width), min(max(y1, 0), height))
              for x0, y0, x1, y1 in rects.tolist()}
    kept = sorted(rect for rect in inside if _area(rect) > 0)
    if len(kept) > _MOST_TO_MERGE:
        kept = [_around(kept)]
    merged = True
    while merged:
        merged = False
        for i, first in enumerate(kept):
            for j in range(i + 1, len(kept)):
                both = _around([first, kept[j]])
                if _area(both) <= _area(first) + _area(kept[j]):
                    kept[i] = both
                    del kept[j]
                    merged = True
                    break
            if merged:
                break
    if sum(map(_area, kept)) >= width * height:
        kept = [(0, 0, width, height)]
    return kept


def _area(rect: Sequence[int]) -> int:
    return max(0, rect[2] - rect[0]) * max(0, rect[3] - rect[1])


def _around(rects: Sequence[tuple[int, ...]]) -> tuple[int, int, int, int]:
    return (min(r[0] for r in rects), min(r[1] for r in rects), max(r[2] for r in rects), max(r[3] for r in rects))
