"""Geometry of labelme shapes: box, area, containment and COCO segmentation, all in image px."""
from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import Any, Union

from pose_tools.formats.labelme import Point, Shape

Box = tuple[float, float, float, float]
Segmentation = Union[list[list[float]], dict[str, Any]]

_CIRCLE_CORNERS = 64  # divisible by four, so that the polygon touches all sides of the circle's box


def polygon_area(corners: Sequence[Point]) -> float:
    """Area in px² by the shoelace formula, whichever way round the corners go."""
    if not corners:
        return 0.0
    import numpy as np  # takes as long as five hundred files, and most folders hold rectangles only

    x, y = np.asarray(corners, float).T
    return float(abs(np.dot(x - x[0], np.roll(y, -1) - np.roll(y, 1)))) / 2


def circle_corners(centre: Point, edge: Point) -> list[Point]:
    """Turns labelme's circle, its centre and a point on its edge, into a regular 64-gon."""
    radius = math.dist(centre, edge)
    angles = [2 * math.pi * i / _CIRCLE_CORNERS for i in range(_CIRCLE_CORNERS)]
    return [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in angles]


def outline(shape: Shape) -> list[Point]:
    """Corners of a box-like shape in image px; a rectangle and a mask give their four."""
    if shape.kind == "circle":
        return circle_corners(shape.points[0], shape.points[1])
    if shape.kind == "polygon":
        return list(shape.points)
    left, top, right, bottom = bounds(shape.points)
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def bounds(points: Sequence[Point]) -> Box:
    """Left, top, right and bottom of some points."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    return min(xs), min(ys), max(xs), max(ys)


def shape_bounds(shapes: Sequence[Shape]) -> Box:
    """Left, top, right and bottom around box-like shapes, in image px.

    A mask's two points are the first and the last pixel it covers, so it reaches one pixel further.
    """
    corners: list[Point] = []
    for shape in shapes:
        if shape.kind == "circle":
            (x, y), radius = shape.points[0], math.dist(*shape.points)
            corners += [(x - radius, y - radius), (x + radius, y + radius)]
        elif shape.kind == "mask":
            left, top, right, bottom = bounds(shape.points)
            corners += [(left, top), (right + 1, bottom + 1)]
        else:
            corners += shape.points
    return bounds(corners)


def contains(shape: Shape, point: Point) -> bool:
    """Whether a box-like shape contains a point; its border belongs to it."""
    if shape.kind == "circle":
        return math.dist(shape.points[0], point) <= math.dist(*shape.points)
    left, top, right, bottom = shape_bounds([shape])
    if not (left <= point[0] <= right and top <= point[1] <= bottom):
        return False
    return shape.kind != "polygon" or _in_polygon(shape.points, point)


def _in_polygon(corners: Sequence[Point], point: Point) -> bool:
    """Even-odd rule, with the border counted as inside."""
    x, y = point
    inside = False
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]]):
        cross = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        on_line = abs(cross) <= 1e-9 * max(1.0, math.dist((ax, ay), (bx, by)))
        if on_line and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
            return True
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            inside = not inside
    return inside


def shape_area(shape: Shape) -> float:
    """Area in px² used to find the smallest of several shapes around a point."""
    left, top, right, bottom = shape_bounds([shape])
    if shape.kind in ("rectangle", "mask"):
        return (right - left) * (bottom - top)
    return polygon_area(outline(shape))


def segmentation(shapes: Sequence[Shape], size: tuple[int, int]) -> tuple[Segmentation, float]:
    """COCO segmentation of one instance.

    Args:
        shapes: Its box-like shapes: polygons and circles in any number, or one rectangle or mask.
        size: (width, height) of the image in px, for masks.

    Returns:
        Polygons as flat x, y lists, or an uncompressed run-length code for a mask, or an empty list for a
        rectangle; and the area it covers in px², 0 for a rectangle.

    Raises:
        ValueError: A mask cannot be decoded.
    """
    if shapes[0].kind == "mask" and shapes[0].mask:
        return _mask_runs(shapes[0], size)
    outlines = [outline(shape) for shape in shapes if shape.kind in ("polygon", "circle")]
    flat = [[value for corner in corners for value in corner] for corners in outlines]
    return flat, float(sum(map(polygon_area, outlines)))


def _mask_runs(shape: Shape, size: tuple[int, int]) -> tuple[dict[str, Any], float]:
    import numpy as np
    from PIL import Image

    try:
        with Image.open(io.BytesIO(base64.b64decode(shape.mask))) as image:
            patch = np.asarray(image) > 0
    except (OSError, ValueError) as error:
        raise ValueError(f"has a mask that cannot be decoded: {error}") from None
    width, height = size
    left, top = (int(round(v)) for v in bounds(shape.points)[:2])
    full = np.zeros((height, width), bool)
    patch = patch.reshape(patch.shape[:2] + (-1,)).any(-1)[max(-top, 0):, max(-left, 0):]
    top, left = max(top, 0), max(left, 0)
    rows, columns = full[top:top + patch.shape[0], left:left + patch.shape[1]].shape
    full[top:top + rows, left:left + columns] = patch[:rows, :columns]
    # COCO counts runs down the columns and starts with background.
    flat = np.concatenate([[False], full.ravel(order="F")])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], edges, [full.size]])).tolist()
    return {"size": [height, width], "counts": counts}, float(full.sum())
