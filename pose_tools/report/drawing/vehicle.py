"""Draws where a vehicle stands: its box in space and where it is heading."""
from __future__ import annotations

from typing import Optional, Protocol

import numpy as np

from pose_tools.report.drawing.strokes import MIDDLE, OUTLINE, PAPER, Colour, draw_line
from pose_tools.report.drawing.words import text_size, write

FRONT = (60, 60, 240)  # BGR: red, as which side is the front is what one looks for
_RING = (0, 1, 2, 3)
_FRONT_EDGES = {(0, 1), (4, 5), (0, 4), (1, 5)}
_HEAD = 0.15  # length of the arrow's head, as a share of the arrow


class PlacedVehicle(Protocol):
    """What is drawn of a vehicle's pose; what lies behind the camera is NaN.

    Attributes:
        corners: (8, 2) of its box in space, image px: front left and right, rear right and left; below, then above.
        heading_arrow: (2, 2) from the middle of its floor to where it is heading, image px.
        heading_deg: The direction in degrees.
    """

    corners: np.ndarray
    heading_arrow: np.ndarray
    heading_deg: float


def draw_vehicle_pose(image: np.ndarray, pose: PlacedVehicle, colour: Optional[Colour] = None) -> np.ndarray:
    """Draws a vehicle's box in space, its front in red, and an arrow where it is heading, with the degrees.

    Args:
        image: BGR (H, W, 3), uint8.
        pose: What was estimated.
        colour: BGR of the box; None for green.

    Returns:
        A new picture (H, W, 3).
    """
    canvas = np.array(image, order="C")
    corners, arrow = np.asarray(pose.corners, float), np.asarray(pose.heading_arrow, float)
    width = max(1, round(np.sqrt(canvas.shape[0] * canvas.shape[1]) / 500))
    edges = [edge for i, j in zip(_RING, (1, 2, 3, 0)) for edge in ((i, j), (i + 4, j + 4), (i, i + 4))]
    edges = [edge for edge in edges if np.isfinite(corners[list(edge)]).all()]
    for a, b in sorted(edges, key=lambda edge: edge in _FRONT_EDGES):
        draw_line(canvas, corners[a], corners[b], FRONT if (a, b) in _FRONT_EDGES else colour or MIDDLE, width)
    if np.isfinite(arrow).all():
        _draw_arrow(canvas, arrow[0], arrow[1], width + 1)
        _write_degrees(canvas, arrow[0], arrow[1], pose.heading_deg, width)
    return canvas


def _draw_arrow(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, width: int) -> None:
    back = (start - end) * _HEAD
    aside = np.array([-back[1], back[0]]) * 0.6
    for colour, breadth in ((OUTLINE, width + 2), (PAPER, width)):
        for other in (start, end + back + aside, end + back - aside):
            draw_line(canvas, end, other, colour, breadth)


def _write_degrees(canvas: np.ndarray, start: np.ndarray, tip: np.ndarray, degrees: float, width: int) -> None:
    """Writes beyond the tip, in the picture."""
    height, across = canvas.shape[:2]
    if not ((tip >= 0) & (tip < (across, height))).all():
        return
    capital = 7 + 2 * width
    words = f"{degrees:.0f} deg"
    size = np.array(text_size(words, capital))
    length = float(np.hypot(*(tip - start)))
    corner = tip + (tip - start) / max(length, 1) * (size / 2 + 3) - size / 2
    left, top = np.clip(np.round(corner), 0, np.maximum((across, height) - size, 0)).astype(int).tolist()
    write(canvas, words, left, top, capital, PAPER, OUTLINE)
