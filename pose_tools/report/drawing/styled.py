"""Draws instances in a style: each as large as suits its own size, words last and where nothing else is.

Canvases are BGR (H, W, 3), uint8, and drawn on; coordinates are image px.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Optional

import numpy as np

from pose_tools.formats.schema import KeypointSet
from pose_tools.report.drawing.palettes import (
    NECK,
    OPENPOSE_LIMBS,
    OPENPOSE_POINTS,
    Palette,
    hue_circle,
    plain_name,
    track_colour,
)
from pose_tools.report.drawing.strokes import (
    BOX,
    INK,
    OUTLINE,
    PAPER,
    Colour,
    draw_limb,
    draw_line,
    draw_point,
)
from pose_tools.report.drawing.style import DrawStyle, Strokes, check_style, choose_strokes
from pose_tools.report.drawing.words import FreePlaces, readable_names, text_size, write

_LIMB_OPACITY = 0.6  # of OpenPose's limbs
# Where words may stand around a point: signs of x and y.
_AROUND = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
_MOST_COVERED = 0.12  # share of a label's place that points may take


def draw_styled(canvas: np.ndarray, boxes: Optional[np.ndarray], keypoints: Optional[np.ndarray],
                shown: Optional[np.ndarray], captions: Sequence[str], keypoint_set: KeypointSet, style: DrawStyle,
                track_ids: Optional[np.ndarray] = None) -> None:
    """Draws N instances, large ones first.

    Args:
        canvas: Drawn on.
        boxes: (N, 4) xyxy, image px, or None.
        keypoints: (N, K, 2), image px, or None.
        shown: (N, K) 0 not at all, 1 as a ring, 2 as a disc; None without keypoints.
        captions: N texts, or none without boxes.
        keypoint_set: Names and links.
        style: How to draw.
        track_ids: (N,) or None.

    Raises:
        UserError: The style does not suit the keypoint set.
    """
    palette = check_style(style, keypoint_set)
    picture = canvas.shape[1], canvas.shape[0]
    count = len(keypoints) if keypoints is not None else len(boxes) if boxes is not None else 0
    none = np.zeros((0, 2))
    points = [none if keypoints is None else keypoints[i][shown[i] > 0] for i in range(count)]
    points = [each[((each >= 0) & (each < picture)).all(axis=1)] for each in points]
    strokes = [choose_strokes(None if boxes is None else boxes[i], points[i], picture, style) for i in range(count)]
    order = sorted(range(count), key=lambda i: -strokes[i].side)
    colours = [BOX if track_ids is None else track_colour(int(track_ids[i])) for i in range(count)]
    before = canvas.copy() if style.alpha < 1 else None
    if boxes is not None and style.boxes:
        for i in order:
            _draw_frame(canvas, boxes[i], colours[i], strokes[i])
    if keypoints is not None:
        for i in order:
            if style.skeleton == "openpose":
                _draw_openpose(canvas, keypoints[i], shown[i], keypoint_set, strokes[i])
            else:
                draw_skeleton(canvas, keypoints[i], shown[i], keypoint_set.skeleton, palette, strokes[i])
    if before is not None:
        _blend(canvas, before, style.alpha)
    places = FreePlaces(picture, np.concatenate([none, *points]),
                        np.repeat([each.radius + each.edge for each in strokes], [len(each) for each in points]))
    if boxes is not None and style.boxes:
        for i in order:
            number = None if track_ids is None else int(track_ids[i])
            _write_caption(canvas, boxes[i], captions[i], number, colours[i], strokes[i].capital, places)
    if keypoints is not None and (style.kpt_index or style.kpt_names):
        texts = _point_texts(keypoint_set, style)
        for i in order:
            _write_labels(canvas, keypoints[i], shown[i], texts, palette.points, strokes[i], places)


def draw_skeleton(canvas: np.ndarray, points: np.ndarray, levels: np.ndarray, skeleton: Sequence[tuple[int, int]],
                  palette: Palette, strokes: Strokes) -> None:
    """Draws links, then points, of one instance.

    Args:
        canvas: Drawn on.
        points: (K, 2) image px.
        levels: (K,) 0 not at all, 1 as a ring, 2 as a disc.
        skeleton: Pairs of indices of points.
        palette: Colours of points and links.
        strokes: Sizes.
    """
    levels = levels.tolist()
    links = [(points[a], points[b], colour) for (a, b), colour in zip(skeleton, palette.links)
             if levels[a] and levels[b]]
    if strokes.edge:
        for a, b, _ in links:
            draw_line(canvas, a, b, OUTLINE, strokes.width + 2 * strokes.edge)
    for a, b, colour in links:
        draw_line(canvas, a, b, colour, strokes.width)
    for point, level, colour in zip(points, levels, palette.points):
        if level:
            hollow = level == 1
            # A ring is one px wider, so that its middle is seen.
            draw_point(canvas, point, colour, hollow, strokes.width, strokes.radius + hollow, strokes.edge)


def _draw_openpose(canvas: np.ndarray, points: np.ndarray, levels: np.ndarray, keypoint_set: KeypointSet,
                   strokes: Strokes) -> None:
    """One person with OpenPose's limbs; the neck is half-way between the shoulders where both are shown."""
    import cv2

    named = {plain_name(name): point for name, point, level in zip(keypoint_set.keypoints, points, levels) if level}
    if "left_shoulder" in named and "right_shoulder" in named:
        named[NECK] = (named["left_shoulder"] + named["right_shoulder"]) / 2
    if not named:
        return
    reach = strokes.radius + 2 * strokes.width + 2
    around = np.array(list(named.values()))
    low = np.clip(np.floor(around.min(axis=0) - reach), 0, canvas.shape[1::-1]).astype(int)
    high = np.clip(np.ceil(around.max(axis=0) + reach), 0, canvas.shape[1::-1]).astype(int)
    if (low >= high).any():
        return
    part = canvas[low[1]:high[1], low[0]:high[0]]
    layer = part.copy()
    for (first, second), colour in zip(OPENPOSE_LIMBS, hue_circle(len(OPENPOSE_POINTS))):
        if first in named and second in named:
            draw_limb(layer, named[first] - low, named[second] - low, colour, strokes.width + 0.5)
    part[:] = cv2.addWeighted(layer, _LIMB_OPACITY, part, 1 - _LIMB_OPACITY, 0)
    for name, colour in zip(OPENPOSE_POINTS, hue_circle(len(OPENPOSE_POINTS))):
        if name in named:
            draw_point(canvas, named[name], colour, False, strokes.width, strokes.radius, 0)


def _draw_frame(canvas: np.ndarray, box: np.ndarray, colour: Colour, strokes: Strokes) -> None:
    import cv2

    if not np.isfinite(box).all():
        return
    size = np.array(canvas.shape[1::-1])
    # A side far outside stays outside.
    corners = np.round(np.clip(np.reshape(box, (2, 2)), -50, size + 50)).astype(int).tolist()
    if strokes.edge:  # only outside: a dark line on both sides would be all one sees of a thin box
        out = strokes.width // 2 + 1
        (x0, y0), (x1, y1) = corners
        cv2.rectangle(canvas, (x0 - out, y0 - out), (x1 + out, y1 + out), OUTLINE, 1)
    cv2.rectangle(canvas, *corners, colour, strokes.width)


def _blend(canvas: np.ndarray, before: np.ndarray, alpha: float) -> None:
    import cv2

    cv2.addWeighted(canvas, alpha, before, 1 - alpha, 0, dst=canvas)


def _write_caption(canvas: np.ndarray, box: np.ndarray, text: str, track_id: Optional[int], colour: Colour,
                   capital: int, places: FreePlaces) -> None:
    """Writes on a box, in the picture and not on another caption: all of it, or what there is room for."""
    import cv2

    if not np.isfinite(box).all() or not (text or track_id is not None):
        return
    if not ((box[2:] >= 0) & (box[:2] < canvas.shape[1::-1])).all():
        return
    x0, y0, x1, y1 = box.tolist()
    number = [] if track_id is None else [f"id {track_id}"]
    ink = INK if sum(colour) > 330 else PAPER
    for words in dict.fromkeys((" ".join([*number, text]).strip(), *number, text.rpartition(" ")[2])):
        across, down = text_size(words, capital)
        across += 2
        most = max(0, canvas.shape[1] - across), max(0, canvas.shape[0] - down)
        corners = [(min(max(x, 0), most[0]), min(max(y, 0), most[1]))
                   for y in (y0 - down, y1, y0, y1 - down) for x in (x0, x1 - across)]
        place = places.take(corners, across, down)
        if place is not None:
            left, top = place
            cv2.rectangle(canvas, (left, top), (left + across - 1, top + down - 1), colour, -1)
            write(canvas, words, left + 1, top, capital, ink)
            return


def _point_texts(keypoint_set: KeypointSet, style: DrawStyle) -> list[str]:
    names = readable_names(keypoint_set.keypoints) if style.kpt_names else [""] * len(keypoint_set.keypoints)
    # A name that cannot be written is a number already.
    return [f"{number} {name}".strip() if style.kpt_index and name != str(number) else name
            for number, name in enumerate(names)]


def _write_labels(canvas: np.ndarray, points: np.ndarray, levels: np.ndarray, texts: Sequence[str],
                  colours: Sequence[Colour], strokes: Strokes, places: FreePlaces) -> None:
    """Writes beside each shown point of an instance, outwards first."""
    seen = levels > 0
    seen &= ((points >= 0) & (points < canvas.shape[1::-1])).all(axis=1)
    if not seen.any():
        return
    middle = points[seen].mean(axis=0).tolist()
    reach = strokes.radius + strokes.edge
    for index in np.flatnonzero(seen).tolist():
        across, down = text_size(texts[index], strokes.capital)
        corners = _beside(points[index].tolist(), middle, reach, across, down)
        place = places.take(corners, across, down, _MOST_COVERED)
        if place is not None:
            write(canvas, texts[index], *place, strokes.capital, colours[index], OUTLINE)


def _beside(point: Sequence[float], middle: Sequence[float], radius: float, across: int,
            down: int) -> list[tuple[float, float]]:
    """Left upper corners of 16 places for words around a point: those away from ``middle`` first, near ones first."""
    away = point[0] - middle[0], point[1] - middle[1]
    turns = sorted(_AROUND, key=lambda turn: -(turn[0] * away[0] + turn[1] * away[1]) / math.hypot(*turn))
    found = []
    for further in (0.0, float(down)):
        for turn in turns:
            gap = 1 + further + (radius if 0 in turn else 0.75 * radius)
            found.append((point[0] + turn[0] * (across / 2 + gap) - across / 2,
                          point[1] + turn[1] * (down / 2 + gap) - down / 2))
    return found
