"""Draws the annotations of a COCO file onto their picture: what was labelled, what was not, and what is suspicious.

Coordinates are image px, (0, 0) being the centre of the first pixel; pictures are BGR (H, W, 3), uint8.
"""
from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pose_tools.formats.schema import KeypointSet
from pose_tools.report.draw import INK, SHIFT, clip_segment, draw_instances, keypoint_colours
from pose_tools.report.lettering import Colour, Lettering, Text

if TYPE_CHECKING:
    from pose_tools.dataset.findings import Finding

ERROR, WARNING = (38, 38, 220), (200, 60, 190)  # BGR: red, purple
LEVEL_COLOURS = {"error": ERROR, "warning": WARNING}
_PAPER, _SWAP, _OUTLINE = (235, 235, 235), (255, 255, 255), (220, 200, 60)
_FAR = 1e9  # px; no picture reaches there, and JSON allows integers that no float can hold
# Levels by annotation id, then by the name of a keypoint, or "" for the whole object.
Marks = Mapping[Hashable, Mapping[str, str]]


@dataclass(frozen=True)
class Label:
    """One annotation, as far as it can be drawn.

    Attributes:
        id: The annotation's id.
        category: Name of its class.
        box: x0, y0, x1, y1 in image px; ``None`` when it has none that can be drawn.
        points: (K, 3): x, y in image px and visibility 0, 1 or 2; NaN where there is no number. K is 0 without any.
        outlines: Polygons (M, 2) of its segmentation, image px.
        crowd: Whether it stands for a group.
    """

    id: Hashable
    category: str
    box: tuple[float, float, float, float] | None
    points: np.ndarray
    outlines: tuple[np.ndarray, ...] = ()
    crowd: bool = False

    def scaled(self, across: float, down: float) -> Label:
        """The same annotation on a picture that was made that many times as wide and as high."""
        factor = np.array([across, down])

        def moved(xy: np.ndarray) -> np.ndarray:
            return (xy + 0.5) * factor - 0.5

        box = None if self.box is None else tuple(moved(np.reshape(self.box, (2, 2))).ravel().tolist())
        points = np.column_stack([moved(self.points[:, :2]), self.points[:, 2]])
        return replace(self, box=box, points=points, outlines=tuple(map(moved, self.outlines)))

    def unlabelled(self, names: KeypointSet) -> list[str]:
        """Names of the keypoints that are not labelled (v = 0, or no keypoints at all)."""
        return [name for i, name in enumerate(names.keypoints)
                if i >= len(self.points) or not self.points[i, 2] > 0]


@dataclass(frozen=True)
class Look:
    """What is drawn of a label.

    Attributes:
        boxes: Boxes, with class and annotation id.
        outlines: Polygons of segmentations.
        points: Keypoints: a disc where visible, a ring where occluded.
        links: Lines between linked keypoints.
        swaps: Dashed lines between partners that trade places on mirroring.
        words: ``"names"`` or ``"numbers"`` (from 1) beside the keypoints, or ``""``.
    """

    boxes: bool = True
    outlines: bool = True
    points: bool = True
    links: bool = True
    swaps: bool = False
    words: str = ""


def _numbers(values: Any) -> np.ndarray:
    """A flat array of floats, NaN for what is no number; empty for what is no list."""
    if not isinstance(values, (list, tuple)):
        return np.zeros(0)
    return np.array([float(v) if isinstance(v, (int, float)) and -_FAR < v < _FAR else math.nan for v in values])


def read_label(annotation: Mapping[str, Any], categories: Mapping[Hashable, str]) -> Label:
    """Takes from an annotation what can be drawn; nothing in it is an error here.

    Args:
        annotation: From a COCO file, not checked.
        categories: Names by category id.
    """
    box, flat = _numbers(annotation.get("bbox")), _numbers(annotation.get("keypoints"))
    corners = None
    if len(box) == 4 and np.isfinite(box).all():
        corners = (box[0], box[1], box[0] + box[2], box[1] + box[3])
    points = flat.reshape(-1, 3) if len(flat) % 3 == 0 else np.zeros((0, 3))
    polygons = annotation.get("segmentation")
    outlines = [_numbers(polygon) for polygon in polygons] if isinstance(polygons, list) else []
    category_id = annotation.get("category_id")
    known = isinstance(category_id, (int, str)) and category_id in categories
    return Label(annotation["id"], categories[category_id] if known else f"category {category_id}",
                 None if corners is None else tuple(map(float, corners)), points,
                 tuple(o.reshape(-1, 2) for o in outlines if len(o) >= 6 and len(o) % 2 == 0 and np.isfinite(o).all()),
                 annotation.get("iscrowd") == 1)


def widened(names: KeypointSet, count: int) -> KeypointSet:
    """The keypoint set with nameless keypoints ``#K`` added, for annotations that have more than it names."""
    more = range(len(names.keypoints) + 1, count + 1)
    return replace(names, keypoints=(*names.keypoints, *(f"#{i}" for i in more))) if more else names


def marks_of(findings: Iterable[Finding]) -> dict[Hashable, dict[str, str]]:
    """What to mark on a picture: the objects and keypoints that findings are about, errors over warnings."""
    marks: dict[Hashable, dict[str, str]] = {}
    for finding in findings:
        if finding.annotation is not None:
            held = marks.setdefault(finding.annotation, {})
            for name in finding.keypoints or ("", ):
                held[name] = "error" if "error" in (finding.level, held.get(name)) else finding.level
    return marks


def draw_labels(image: np.ndarray, labels: Sequence[Label], names: KeypointSet, letters: Lettering,
                look: Look | None = None, marks: Marks | None = None) -> np.ndarray:
    """Draws annotations.

    Args:
        image: BGR (H, W, 3), uint8.
        labels: At most ``len(names.keypoints)`` keypoints each (see :func:`widened`).
        names: Names, links and swaps of the keypoints.
        letters: Chosen for all names that are to be written.
        look: What to draw.
        marks: What to mark in red (errors) and purple (warnings); see :func:`marks_of`.

    Returns:
        A new picture.

    Raises:
        ValueError: A label has more keypoints than ``names``.
    """
    look, marks = look or Look(), marks or {}
    width = max(1, round(math.sqrt(image.shape[0] * image.shape[1]) / 400))
    canvas = np.array(image, order="C")
    if look.outlines:
        _draw_outlines(canvas, [outline for label in labels for outline in label.outlines], width)
    count = len(names.keypoints)
    points = np.full((len(labels), count, 3), np.nan)
    for held, label in zip(points, labels):
        if len(label.points) > count:
            raise ValueError(f"annotation {label.id} has {len(label.points)} keypoints, and {count} have names")
        held[:len(label.points)] = label.points
    boxes = np.array([label.box or [math.nan] * 4 for label in labels], float).reshape(-1, 4)
    shown = np.nan_to_num(points[..., 2]).clip(0, 2).astype(int)
    seen = np.where(points[..., 2:] > 0, points, np.nan)
    if look.swaps:
        _draw_swaps(canvas, seen, names, width)
    if look.words and look.points:  # before the points, which it would cover
        canvas = letters.write(canvas, _point_texts(canvas, seen, names, letters, look.words))
    for box in boxes[np.isfinite(boxes).all(axis=1)] if look.boxes else ():
        _rectangle(canvas, box, INK, width + 2)  # light boxes would be lost on light pictures
    canvas = draw_instances(canvas, boxes if look.boxes else None,
                            points[..., :2] if look.points and count else None, None,
                            names if look.links else replace(names, links=()), visibility=shown, line_width=width)
    for label, xys in zip(labels, seen):
        _draw_marks(canvas, label, xys, names, marks.get(label.id, {}), width)
    return letters.write(canvas, _captions(canvas, labels, letters, marks)) if look.boxes else canvas


def _line(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, colour: Colour, width: int) -> None:
    import cv2

    clipped = clip_segment(start, end, -50.0, np.array(canvas.shape[1::-1]) + 50.0)
    if clipped is not None:
        a, b = (tuple(np.round(p * (1 << SHIFT)).astype(int).tolist()) for p in clipped)
        cv2.line(canvas, a, b, colour, width, cv2.LINE_AA, SHIFT)


def _rectangle(canvas: np.ndarray, box: Sequence[float], colour: Colour, width: int) -> None:
    x0, y0, x1, y1 = box
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    for start, end in zip(corners, np.roll(corners, -1, axis=0)):
        _line(canvas, start, end, colour, width)


def _draw_outlines(canvas: np.ndarray, outlines: Sequence[np.ndarray], width: int) -> None:
    import cv2

    # OpenCV counts in 32 bits; what is so far away cannot be seen.
    corners = [np.round(xy * (1 << SHIFT)).astype(np.int32) for xy in outlines if np.abs(xy).max() < 1e5]
    cv2.polylines(canvas, corners, True, _OUTLINE, width, cv2.LINE_AA, SHIFT)


def _draw_swaps(canvas: np.ndarray, points: np.ndarray, names: KeypointSet, width: int) -> None:
    """Dashed lines between partners of which both are labelled."""
    partner = {names.keypoints.index(a): names.keypoints.index(b) for a, b in names.swaps}
    for xys in points[..., :2]:
        for a, b in partner.items():
            clipped = clip_segment(xys[a], xys[b], -50.0, np.array(canvas.shape[1::-1]) + 50.0) \
                if np.isfinite(xys[[a, b]]).all() else None
            if clipped is None:
                continue
            start, end = clipped
            steps = max(1, int(np.hypot(*(end - start)) / (8 * width)))
            for i in range(0, steps, 2):
                dash = [start + (end - start) * (i + part) / steps for part in (0, 1)]
                _line(canvas, *dash, INK, width + 2)
                _line(canvas, *dash, _SWAP, width)


def _draw_marks(canvas: np.ndarray, label: Label, points: np.ndarray, names: KeypointSet, marks: Mapping[str, str],
                width: int) -> None:
    """A coloured box round an object, and circles round its keypoints, that something is wrong with."""
    import cv2

    for name, level in marks.items():
        colour = LEVEL_COLOURS.get(level, WARNING)
        point = points[names.keypoints.index(name), :2] if name in names.keypoints else [math.nan] * 2
        if np.isfinite(point).all() and (np.abs(point) < 1e5).all():
            centre = tuple(np.round(np.asarray(point) * (1 << SHIFT)).astype(int).tolist())
            cv2.circle(canvas, centre, (6 * width + 3) << SHIFT, colour, width + 1, cv2.LINE_AA, SHIFT)
        elif label.box is not None and not name:
            _rectangle(canvas, label.box, colour, width + 1)


def text_size(image: np.ndarray) -> int:
    """Height in px of the text on a picture."""
    return int(np.clip(max(image.shape[:2]) / 60, 11, 28))


def _captions(canvas: np.ndarray, labels: Sequence[Label], letters: Lettering, marks: Marks) -> list[Text]:
    """Class and annotation id over each box, or at the first point of what has none."""
    size, texts = text_size(canvas), []
    for label in labels:
        anchor = label.box[:2] if label.box else next(iter(label.points[label.points[:, 2] > 0, :2]), None)
        if anchor is None or not np.isfinite(anchor).all():
            continue
        words = f"{label.category if letters.readable(label.category) else '?'} #{label.id}"
        words += " (crowd)" if label.crowd else ""
        left = np.clip(anchor[0] + 2, 2, max(2, canvas.shape[1] - letters.width(words, size) - 2))
        top = np.clip(anchor[1] - letters.height(size), 0, max(0, canvas.shape[0] - letters.height(size)))
        levels = set(marks.get(label.id, {}).values())
        paper = ERROR if "error" in levels else WARNING if levels else _PAPER
        texts.append(Text(float(left), float(top), words, size, (255, 255, 255) if levels else INK, paper))
    return texts


def _point_texts(canvas: np.ndarray, points: np.ndarray, names: KeypointSet, letters: Lettering,
                 words: str) -> list[Text]:
    """Names or numbers beside the keypoints; numbers for names that no font of this machine can show."""
    size, texts = text_size(canvas), []
    colours = keypoint_colours(names)
    for xys in points[..., :2]:
        for number, ((x, y), name) in enumerate(zip(xys.tolist(), names.keypoints)):
            if math.isfinite(x) and math.isfinite(y):
                said = name if words == "names" and letters.readable(name) else str(number + 1)
                place = x + 0.7 * size, y - 0.6 * letters.height(size)
                texts.append(Text(*place, said, size, colours[number], edge=INK))
    return texts
