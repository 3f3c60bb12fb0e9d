"""How instances are drawn, and how large: each by its own size, so that small ones do not become a blob."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.formats.schema import KeypointSet
from pose_tools.report.drawing.palettes import Palette, palette_of


@dataclass(frozen=True)
class DrawStyle:
    """How instances are drawn.

    Attributes:
        kpt_thr: Smallest score of a keypoint that is drawn, with its links.
        radius: Of the keypoints, px; None chooses it for each instance by its size.
        thickness: Of links and boxes, px; None likewise.
        boxes: Whether boxes are drawn, with class, score and track id.
        kpt_index: Whether each keypoint's number, from 0, is written beside it.
        kpt_names: Whether each keypoint's name is written beside it. A number or name for which there is no free place
            is left out.
        skeleton: Colours and links: ``sides`` (left orange, right blue), ``mmpose`` (the data set's own colours) or
            ``openpose`` (with a neck; for the 17 keypoints of COCO's persons).
        alpha: How opaque lines, points and boxes are, above 0 and up to 1; words are always opaque.
    """

    kpt_thr: float = 0.3
    radius: Optional[int] = None
    thickness: Optional[int] = None
    boxes: bool = True
    kpt_index: bool = False
    kpt_names: bool = False
    skeleton: str = "sides"
    alpha: float = 1.0


def check_style(style: DrawStyle, keypoint_set: KeypointSet) -> Palette:
    """Says whether instances of a keypoint set can be drawn in a style, and gives its colours.

    Args:
        style: How to draw.
        keypoint_set: What to draw.

    Raises:
        UserError: There is no such skeleton style, it does not suit the keypoint set, or a size makes no sense.
    """
    for name, value in (("radius", style.radius), ("thickness", style.thickness)):
        if value is not None and value < 1:
            raise UserError(f"expected a {name} of at least 1 px, got {value}")
    if not 0 < style.alpha <= 1:
        raise UserError(f"expected an alpha above 0 and up to 1, got {style.alpha}")
    return palette_of(style.skeleton, keypoint_set)


@dataclass(frozen=True)
class Strokes:
    """How large one instance is drawn, in px.

    Attributes:
        radius: Of a keypoint's disc.
        width: Of links and the box.
        edge: Of the dark edge around them; 0 for none.
        capital: Height of the capital letters of its words.
        side: Root of the area it covers in the picture, which the others follow from.
    """

    radius: float
    width: int
    edge: int
    capital: int
    side: float = 0.0


def choose_strokes(box: Optional[np.ndarray], points: np.ndarray, picture: tuple[int, int],
                   style: DrawStyle) -> Strokes:
    """Chooses how large an instance is drawn: by its own size, and not larger than suits the picture.

    Args:
        box: x0, y0, x1, y1, image px, or None.
        points: (P, 2) its keypoints that are shown, image px.
        picture: (w, h), px.
        style: Given sizes are taken as they are.
    """
    side = _side(box, points, picture)
    picture_side = float(np.sqrt(picture[0] * picture[1]))
    width = style.thickness or round(max(1.0, min(side / 80, picture_side / 400)))
    radius = float(style.radius or max(1.5, min(side / 28, 2 * width + 1)))
    capital = round(max(7.0, min(side / 14, 0.012 * picture_side + 3)))
    capital -= capital % 2 if capital > 10 else 0  # so that what is written is kept for more frames
    return Strokes(radius, width, int(radius >= 2.5), capital, side)


def _side(box: Optional[np.ndarray], points: np.ndarray, picture: tuple[int, int]) -> float:
    """Root of the area an instance covers in the picture, px; of a thin one, a third of its longer side."""
    if box is None or not np.isfinite(box).all():
        if not len(points):
            return 0.0
        box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    corners = np.clip(np.reshape(box, (2, 2)), 0, picture)
    sides = np.maximum(corners[1] - corners[0], 0)
    return float(max(np.sqrt(sides.prod()), sides.max() / 3))
