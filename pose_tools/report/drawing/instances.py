"""Draws what was labelled or found in a picture: boxes, skeletons and their captions.

Pictures are BGR (H, W, 3), uint8. Coordinates are image px, (0, 0) being the centre of the first pixel.
Nothing is drawn in place: what is returned is new.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

from pose_tools.formats.schema import KeypointSet
from pose_tools.report.drawing.palettes import palette_of
from pose_tools.report.drawing.strokes import BOX, INK, draw_line
from pose_tools.report.drawing.style import DrawStyle, Strokes
from pose_tools.report.drawing.styled import draw_skeleton, draw_styled
from pose_tools.report.drawing.words import to_ascii


def draw_instances(image: np.ndarray, boxes: Optional[np.ndarray], keypoints: Optional[np.ndarray],
                   keypoint_scores: Optional[np.ndarray], keypoint_set: KeypointSet, kpt_thr: float = 0.3,
                   visibility: Optional[np.ndarray] = None, box_scores: Optional[np.ndarray] = None,
                   class_ids: Optional[np.ndarray] = None, line_width: Optional[int] = None,
                   style: Optional[DrawStyle] = None, track_ids: Optional[np.ndarray] = None) -> np.ndarray:
    """Draws boxes and skeletons of N instances.

    Without a style all are drawn with lines as wide as suits the picture, as labels are looked at; in a style, each is
    drawn as large as suits itself, as predictions are.

    The left side is orange and the right side blue, whichever way an instance is turned (see
    :func:`keypoint_colours`). A visible point is a disc, an occluded one a ring.

    Args:
        image: BGR (H, W, 3) or grey (H, W), uint8.
        boxes: x0, y0, x1, y1 (N, 4), image px, or None for no boxes.
        keypoints: (N, K, 2), image px, or None for no keypoints. NaN and far outside are allowed.
        keypoint_scores: (N, K), or None to draw all; a point whose score is below ``kpt_thr`` is left out.
        keypoint_set: Names, links and swaps of the K keypoints; names of the classes.
        kpt_thr: Smallest score that is drawn.
        visibility: (N, K), as in COCO: 0 is left out, 1 is a ring, 2 a disc. None makes all discs.
        box_scores: (N,), written on the boxes.
        class_ids: (N,), 0-based; the class is named on the boxes where there is more than one, or a score.
        line_width: Pixels; by default chosen by the size of the picture. Not looked at where there is a style.
        style: How to draw; its threshold takes the place of ``kpt_thr``.
        track_ids: (N,) whole numbers, written on the boxes, which get the colour of their track. Drawn in a style, the
            default one where none is given.

    Returns:
        A new picture (H, W, 3).

    Raises:
        ValueError: The shapes of the arguments contradict each other.
        UserError: The style does not suit the keypoint set.
    """
    import cv2

    if style is None and track_ids is not None:
        style = DrawStyle(kpt_thr)
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else np.array(image, order="C")
    shown = None
    if keypoints is not None:
        keypoints = np.asarray(keypoints, float).reshape(-1, len(keypoint_set.keypoints), 2)
        shown = _shown(keypoints, keypoint_scores, visibility, kpt_thr if style is None else style.kpt_thr)
    if boxes is not None:
        boxes = np.asarray(boxes, float).reshape(-1, 4)
        if keypoints is not None and len(boxes) != len(keypoints):
            raise ValueError(f"{len(boxes)} boxes, but keypoints of {len(keypoints)} instances")
    captions = _captions(0 if boxes is None else len(boxes), keypoint_set, class_ids, box_scores)
    if style is None:
        width = line_width or max(1, round(np.sqrt(canvas.shape[0] * canvas.shape[1]) / 400))
        _draw_alike(canvas, boxes, keypoints, shown, captions, keypoint_set, width)
    else:
        draw_styled(canvas, boxes, keypoints, shown, captions, keypoint_set, style, track_ids)
    return canvas


def _draw_alike(canvas: np.ndarray, boxes: Optional[np.ndarray], keypoints: Optional[np.ndarray],
                shown: Optional[np.ndarray], captions: Sequence[str], keypoint_set: KeypointSet, width: int) -> None:
    """All instances with lines of one width."""
    for box, text in zip(() if boxes is None else boxes, captions):
        _draw_box(canvas, box, text, width)
    palette = palette_of("sides", keypoint_set)
    for points, levels in zip(() if keypoints is None else keypoints, () if shown is None else shown):
        draw_skeleton(canvas, points, levels, keypoint_set.skeleton, palette, Strokes(2.0 * width + 1, width, 1, 0))


def _shown(keypoints: np.ndarray, scores: Optional[np.ndarray], visibility: Optional[np.ndarray],
           kpt_thr: float) -> np.ndarray:
    """How to draw each keypoint (N, K): 0 not at all, 1 as a ring, 2 as a disc."""
    shape = keypoints.shape[:2]
    levels = np.full(shape, 2) if visibility is None else np.asarray(visibility).astype(int).reshape(shape)
    if scores is not None:
        # A score that is not a number is no reason to draw a point.
        levels = np.where(np.asarray(scores, float).reshape(shape) >= kpt_thr, levels, 0)
    return np.where(np.isfinite(keypoints).all(axis=2), levels, 0)


def _captions(count: int, keypoint_set: KeypointSet, class_ids: Optional[np.ndarray],
              scores: Optional[np.ndarray]) -> list[str]:
    """What is written on each box."""
    texts = []
    for i in range(count):
        words = []
        class_id = 0 if class_ids is None else int(np.asarray(class_ids)[i])
        known = 0 <= class_id < len(keypoint_set.classes)
        if scores is not None or (class_ids is not None and len(keypoint_set.classes) > 1):
            words.append(keypoint_set.classes[class_id] if known else f"class {class_id}")
        if scores is not None:
            words.append(f"{float(np.asarray(scores)[i]):.2f}")
        texts.append(" ".join(words))
    return texts


def _draw_box(canvas: np.ndarray, box: np.ndarray, text: str, width: int) -> None:
    """One box with its caption inside the picture."""
    import cv2

    if not np.isfinite(box).all():
        return
    x0, y0, x1, y1 = box
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    for start, end in zip(corners, np.roll(corners, -1, axis=0)):
        draw_line(canvas, start, end, BOX, width)
    if not text:
        return
    scale = 0.36 * (1 + 0.5 * width) / 1.5
    (across, up), below = cv2.getTextSize(to_ascii(text), cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    left = int(np.clip(x0, 0, max(0, canvas.shape[1] - across - 4)))
    bottom = int(np.clip(y0, up + below + 2, canvas.shape[0]))
    cv2.rectangle(canvas, (left, bottom - up - below - 2), (left + across + 3, bottom), BOX, -1)
    cv2.putText(canvas, to_ascii(text), (left + 2, bottom - below), cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1,
                cv2.LINE_AA)
