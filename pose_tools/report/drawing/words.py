"""Words on pictures: outlined, in any script, and in places where nothing else is.

Canvases are BGR (H, W, 3), uint8; places are image px.
"""
from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Optional

import numpy as np

from pose_tools.report.drawing.strokes import Colour

if TYPE_CHECKING:
    from pose_tools.report.lettering import Lettering

_CAPITAL = 21.0  # height of OpenCV's plain letters at scale 1, px
_CELL = 2  # px; words and points are kept apart by cells of that size
_BELOW = 0.35  # what hangs below the line, as a share of the capitals' height


def to_ascii(text: str) -> str:
    """The text as OpenCV's fonts can show it."""
    return text.encode("ascii", "replace").decode("ascii")


def readable_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, or the number from 0 for one that no font of this machine can write."""
    if all(map(str.isascii, names)):
        return names
    letters = _lettering(names)
    return tuple(name if letters.readable(name) else str(number) for number, name in enumerate(names))


def text_size(text: str, capital: int) -> tuple[int, int]:
    """Width and height of a line with its outline, in px.

    Args:
        text: In any script.
        capital: Height of a capital letter, px.
    """
    if text.isascii():
        return _drawn_size(text, capital)
    return _sprite(text, capital, (0, 0, 0), (0, 0, 0))[1].shape[1::-1]


def write(canvas: np.ndarray, text: str, left: int, top: int, capital: int, ink: Colour,
          edge: Optional[Colour] = None) -> None:
    """Writes a line; what reaches beyond the picture is cut.

    Args:
        canvas: Drawn on.
        text: In any script.
        left: Of the rectangle that :func:`text_size` gives, image px.
        top: Likewise.
        capital: Height of a capital letter, px.
        ink: BGR.
        edge: BGR of the outline, or None for none.
    """
    if not text.isascii():
        _lay(canvas, text, left, top, capital, ink, edge)
        return
    start = 0
    for word in text.split(" "):  # a word is kept for the next frame, whose score may be another
        before = _drawn_size(text[:start], capital)[0] - 2 if start else 0
        _lay(canvas, word, left + before, top, capital, ink, edge)
        start += len(word) + 1


def _lay(canvas: np.ndarray, text: str, left: int, top: int, capital: int, ink: Colour, edge: Optional[Colour]) -> None:
    colours, clear = _sprite(text, capital, ink, edge)
    x0, y0 = max(0, left), max(0, top)
    part = canvas[y0:max(0, top + len(clear)), x0:max(0, left + clear.shape[1])]
    cut = np.s_[y0 - top:y0 - top + part.shape[0], x0 - left:x0 - left + part.shape[1]]
    part[:] = part * clear[cut] + colours[cut]


class FreePlaces:
    """Finds places for words that cover neither each other nor points.

    Args:
        size: (w, h) of the picture, px.
        points: (P, 2) image px, which are better not covered.
        radii: (P,) of their discs, px.
    """

    def __init__(self, size: tuple[int, int], points: np.ndarray, radii: np.ndarray) -> None:
        """Prepares."""
        self._size = size
        cells = size[1] // _CELL + 1, size[0] // _CELL + 1
        self._words, self._points = np.zeros(cells, bool), np.zeros(cells, bool)
        radii = np.asarray(radii, float).reshape(-1, 1)
        discs = np.hstack([np.maximum(points - radii, 0), np.maximum(points + radii, 0)])
        for x0, y0, x1, y1 in discs.astype(int).tolist():
            self._points[_cells(x0, y0, x1, y1)] = True

    def take(self, corners: Iterable[tuple[float, float]], width: int, height: int,
             most: float = 1.0) -> Optional[tuple[int, int]]:
        """Takes a place.

        Args:
            corners: Where the left upper corner may lie, the best first, image px.
            width: Of the words, px.
            height: Of the words, px.
            most: Share of a place that points may take.

        Returns:
            Left and top of the first place in the picture that covers no other words and no points, or that with fewest
            points under it; None where there is none.
        """
        best, least = None, most * (width // _CELL + 1) * (height // _CELL + 1)
        for left, top in ((round(x), round(y)) for x, y in corners):
            if left < 0 or top < 0 or left + width > self._size[0] or top + height > self._size[1]:
                continue
            cells = _cells(left, top, left + width - 1, top + height - 1)
            if np.count_nonzero(self._words[cells]):
                continue
            covered = int(np.count_nonzero(self._points[cells]))
            if covered < least or (covered == least and best is None):
                best, least = (left, top), covered
            if not covered:
                break
        if best is not None:
            self._words[_cells(*best, best[0] + width - 1, best[1] + height - 1)] = True
        return best


def _cells(x0: int, y0: int, x1: int, y1: int) -> tuple[slice, slice]:
    """The cells of a rectangle whose pixels go from (x0, y0) to (x1, y1), both in it."""
    return np.s_[y0 // _CELL:y1 // _CELL + 1, x0 // _CELL:x1 // _CELL + 1]


def _stroke(capital: int) -> int:
    return 1 if capital < 16 else 2


@lru_cache(maxsize=4096)
def _drawn_size(text: str, capital: int) -> tuple[int, int]:
    import cv2

    (across, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, capital / _CAPITAL, _stroke(capital))
    return across + 2, round(capital * (1 + _BELOW)) + 2


@lru_cache(maxsize=16)
def _lettering(texts: tuple[str, ...]) -> Lettering:
    from pose_tools.report.lettering import Lettering

    return Lettering(texts)


@lru_cache(maxsize=512)
def _sprite(text: str, capital: int, ink: Colour, edge: Optional[Colour]) -> tuple[np.ndarray, np.ndarray]:
    """A written line (h, w, 3): its colours times its opacity, and what of the ground is seen, in [0, 1].

    Outlines take OpenCV a tenth of a millisecond and more, and a video needs the same ones in each frame.
    """
    draw = _drawn if text.isascii() else _lettered
    white = (255, 255, 255)
    colours, mask = draw(text, capital, ink, edge, edge or ink), draw(text, capital, white, edge and white, (0, 0, 0))
    opaque = mask.astype(np.float32) / 255
    return colours * opaque + np.float32(0.5), 1 - opaque


def _drawn(text: str, capital: int, ink: Colour, edge: Optional[Colour], ground: Colour) -> np.ndarray:
    """An ASCII line on a ground of its size, in OpenCV's letters."""
    import cv2

    canvas = np.full((*_drawn_size(text, capital)[::-1], 3), ground, np.uint8)
    for colour, width in ((edge, _stroke(capital) + 2), (ink, _stroke(capital))):
        if colour is not None:
            cv2.putText(canvas, text, (1, 1 + capital), cv2.FONT_HERSHEY_SIMPLEX, capital / _CAPITAL, colour, width,
                        cv2.LINE_AA)
    return canvas


def _lettered(text: str, capital: int, ink: Colour, edge: Optional[Colour], ground: Colour) -> np.ndarray:
    """A line on a ground of its size, in a font that has its characters."""
    from pose_tools.report.lettering import Text

    letters, size = _lettering((text, )), round(capital / 0.72)  # the share that capitals have of usual fonts
    margin = max(1, size // 8)  # of the outline, as wide as it is made
    across, down = round(letters.width(text, size)) + 2 * margin + 1, letters.height(size) + 2 * margin
    canvas = np.full((down, across, 3), ground, np.uint8)
    return letters.write(canvas, [Text(margin, margin, text, size, ink, edge=edge)])
