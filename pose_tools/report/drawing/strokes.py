"""Lines and points with fractions of a pixel, drawn in place.

Canvases are BGR (H, W, 3), uint8; coordinates are image px, (0, 0) being the centre of the first pixel.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Optional, Union

import numpy as np

Colour = tuple[int, int, int]  # BGR

LEFT, RIGHT, MIDDLE = (51, 153, 255), (255, 153, 51), (80, 220, 100)  # BGR: orange, blue, green
BOX, OUTLINE, PAPER, INK = (235, 235, 235), (30, 30, 30), (250, 250, 250), (40, 40, 40)
_CIRCLE = np.array([(math.cos(turn), math.sin(turn)) for turn in np.arange(0, 2 * math.pi, math.pi / 16)])
SHIFT = 4  # fractional bits of the coordinates handed to OpenCV


def draw_line(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, colour: Colour, width: int) -> None:
    """A smooth line between two points (2,), image px; only the part near the picture reaches OpenCV."""
    import cv2

    ends = _near_segment(canvas, start, end)
    if ends is not None:
        cv2.line(canvas, to_fixed(ends[0]), to_fixed(ends[1]), colour, width, cv2.LINE_AA, SHIFT)


def draw_point(canvas: np.ndarray, point: np.ndarray, colour: Colour, hollow: bool, width: int, radius: float,
               edge: int = 1) -> None:
    """A disc, or a ring whose middle is left as it is.

    Args:
        canvas: Drawn on.
        point: (2,) image px.
        colour: BGR.
        hollow: Whether it is a ring.
        width: Of a ring's line, px.
        radius: Of the disc without its edge, or of the middle of the ring, px.
        edge: Width of the dark edge, px; 0 for none.
    """
    import cv2

    height, across = canvas.shape[:2]
    reach = radius + 3
    if not (-reach <= point[0] <= across + reach and -reach <= point[1] <= height + reach):
        return
    centre, fixed = to_fixed(point), round(radius * (1 << SHIFT))
    if hollow:
        if edge:
            cv2.circle(canvas, centre, fixed, OUTLINE, width + 2 * edge, cv2.LINE_AA, SHIFT)
        cv2.circle(canvas, centre, fixed, colour, width, cv2.LINE_AA, SHIFT)
    else:
        if edge:
            cv2.circle(canvas, centre, fixed + (edge << SHIFT), OUTLINE, -1, cv2.LINE_AA, SHIFT)
        cv2.circle(canvas, centre, fixed, colour, -1, cv2.LINE_AA, SHIFT)


def draw_limb(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, colour: Colour, half_width: float) -> None:
    """A filled ellipse from one point (2,) to another, image px."""
    import cv2

    ends = _near_segment(canvas, start, end)
    if ends is None:
        return
    (x0, y0), (x1, y1) = ends
    half = math.hypot(x1 - x0, y1 - y0) / 2
    along = np.array([x1 - x0, y1 - y0]) / 2 if half else np.array([half_width, 0.0])
    aside = np.array([-along[1], along[0]]) * (half_width / (half or half_width))
    outline = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + _CIRCLE[:, :1] * along + _CIRCLE[:, 1:] * aside
    cv2.fillConvexPoly(canvas, np.round(outline * (1 << SHIFT)).astype(np.int32), colour, cv2.LINE_AA, SHIFT)


def to_fixed(point: Sequence[float]) -> tuple[int, int]:
    """A point in image px as OpenCV takes it, with :data:`SHIFT` fractional bits."""
    return round(float(point[0]) * (1 << SHIFT)), round(float(point[1]) * (1 << SHIFT))


def _near_segment(canvas: np.ndarray, start: np.ndarray, end: np.ndarray) -> Optional[tuple[Sequence[float], ...]]:
    """The part of a segment that is within 50 px of the picture; OpenCV's coordinates are 32 bits."""
    across, down = canvas.shape[1] + 50.0, canvas.shape[0] + 50.0
    (x0, y0), (x1, y1) = (float(start[0]), float(start[1])), (float(end[0]), float(end[1]))
    if min(x0, x1, y0, y1) >= -50.0 and max(x0, x1) <= across and max(y0, y1) <= down:
        return (x0, y0), (x0 + (x1 - x0), y0 + (y1 - y0))  # with the rounding of clip_segment
    return clip_segment(start, end, -50.0, np.array((across, down)))


def clip_segment(start: np.ndarray, end: np.ndarray, low: Union[float, np.ndarray],
                 high: Union[float, np.ndarray]) -> Optional[tuple[np.ndarray, np.ndarray]]:
    """The part of a line segment inside a rectangle (Liang and Barsky, 1984).

    Args:
        start: (2,).
        end: (2,).
        low: Smallest x and y inside.
        high: Largest x and y inside.

    Returns:
        Both ends of what is left, or None when nothing is.
    """
    start, end = np.asarray(start, float), np.asarray(end, float)
    low, high = np.broadcast_to(low, 2), np.broadcast_to(high, 2)
    along = end - start
    enter, leave = 0.0, 1.0
    for axis in (0, 1):
        if along[axis] == 0:
            if not low[axis] <= start[axis] <= high[axis]:
                return None
            continue
        shares = sorted(((low[axis] - start[axis]) / along[axis], (high[axis] - start[axis]) / along[axis]))
        enter, leave = max(enter, shares[0]), min(leave, shares[1])
    if enter > leave:
        return None
    return start + enter * along, start + leave * along
