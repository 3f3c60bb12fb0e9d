"""Draws boxes, skeletons and contact sheets, and reads and writes pictures.

Pictures are BGR (H, W, 3), uint8. Coordinates are image px, (0, 0) being the centre of the first pixel.
Nothing is drawn in place: what is returned is new.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional, Union

import numpy as np

from pose_tools.console import UserError
from pose_tools.console.atomic import write_whole
from pose_tools.formats.schema import KeypointSet

LEFT, RIGHT, MIDDLE = (51, 153, 255), (255, 153, 51), (80, 220, 100)  # BGR: orange, blue, green
BOX, OUTLINE, PAPER, INK = (235, 235, 235), (30, 30, 30), (250, 250, 250), (40, 40, 40)
SHIFT = 4  # fractional bits of the coordinates handed to OpenCV
JPEG_QUALITY = 92


def draw_instances(image: np.ndarray, boxes: Optional[np.ndarray], keypoints: Optional[np.ndarray],
                   keypoint_scores: Optional[np.ndarray], keypoint_set: KeypointSet, kpt_thr: float = 0.3,
                   visibility: Optional[np.ndarray] = None, box_scores: Optional[np.ndarray] = None,
                   class_ids: Optional[np.ndarray] = None, line_width: Optional[int] = None) -> np.ndarray:
    """Draws boxes and skeletons of N instances.

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
        line_width: Pixels; by default chosen by the size of the picture.

    Returns:
        A new picture (H, W, 3).

    Raises:
        ValueError: The shapes of the arguments contradict each other.
    """
    import cv2

    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else np.array(image, order="C")
    width = line_width or max(1, round(np.sqrt(canvas.shape[0] * canvas.shape[1]) / 400))
    shown = None
    if keypoints is not None:
        keypoints = np.asarray(keypoints, float).reshape(-1, len(keypoint_set.keypoints), 2)
        shown = _shown(keypoints, keypoint_scores, visibility, kpt_thr)
    if boxes is not None:
        boxes = np.asarray(boxes, float).reshape(-1, 4)
        if keypoints is not None and len(boxes) != len(keypoints):
            raise ValueError(f"{len(boxes)} boxes, but keypoints of {len(keypoints)} instances")
        for box, text in zip(boxes, _captions(len(boxes), keypoint_set, class_ids, box_scores)):
            _draw_box(canvas, box, text, width)
    if keypoints is not None:
        for points, levels in zip(keypoints, shown):
            _draw_skeleton(canvas, points, levels, keypoint_set, width)
    return canvas


def keypoint_colours(keypoint_set: KeypointSet) -> list[tuple[int, int, int]]:
    """One BGR colour for each keypoint: a side's colour for what has a partner, green for what has none.

    The first of a pair counts as left unless the names say otherwise.

    Args:
        keypoint_set: Names and swaps.
    """
    colours = dict.fromkeys(keypoint_set.keypoints, MIDDLE)
    for first, second in keypoint_set.swaps:
        if "right" in first.lower() and "left" in second.lower():
            first, second = second, first
        colours[first], colours[second] = LEFT, RIGHT
    return [colours[name] for name in keypoint_set.keypoints]


def contact_sheet(images: Sequence[np.ndarray], columns: int, cell_width: int,
                  titles: Optional[Sequence[str]] = None) -> np.ndarray:
    """Lays pictures out in rows.

    Args:
        images: BGR pictures of any sizes; each is scaled to fit its cell and centred in it.
        columns: Cells in a row.
        cell_width: Pixels; the cells' height follows from the pictures' median proportion.
        titles: One line over each picture, shortened to fit; what is not ASCII is shown as ``?``.

    Returns:
        The sheet (H, W, 3), uint8; a blank cell where there is no picture at all.

    Raises:
        ValueError: There are not as many titles as pictures, or a size is below 1.
    """
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"{len(titles)} titles for {len(images)} pictures")
    if columns < 1 or cell_width < 1:
        raise ValueError(f"{columns} columns of {cell_width} pixels: both must be at least 1")
    gap = max(2, cell_width // 80)
    bar = 0 if titles is None else max(14, cell_width // 14)
    share = float(np.median([i.shape[0] / i.shape[1] for i in images])) if len(images) else 0.75
    height = max(1, round(cell_width * share))
    rows, columns = max(1, -(-len(images) // columns)), min(columns, max(1, len(images)))
    size = rows * (height + bar + gap) + gap, columns * (cell_width + gap) + gap
    sheet = np.full((*size, 3), PAPER, np.uint8)
    for number, image in enumerate(images):
        top = gap + (number // columns) * (height + bar + gap)
        left = gap + (number % columns) * (cell_width + gap)
        if titles is not None:
            _write_title(sheet[top:top + bar, left:left + cell_width], titles[number])
        _paste(sheet[top + bar:top + bar + height, left:left + cell_width], image)
    return sheet


def imread(path: Union[str, Path]) -> np.ndarray:
    """Reads a picture, turned as its EXIF orientation says.

    Args:
        path: Any file OpenCV reads; the name may hold any character.

    Returns:
        BGR (H, W, 3), uint8.

    Raises:
        UserError: There is no such file, or it is not a picture that can be read.
    """
    import cv2

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    data = np.fromfile(path, np.uint8)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:
        image = None
    if image is None:
        raise UserError(f"{path}: not a picture that can be read ({len(data)} bytes)")
    return image


def imwrite(path: Union[str, Path], image: np.ndarray) -> None:
    """Writes a picture; the file appears only when it is complete.

    Args:
        path: Its suffix gives the format; missing folders are made.
        image: BGR (H, W, 3) or grey (H, W), uint8.

    Raises:
        UserError: The suffix is none that OpenCV writes.
    """
    import cv2

    path = Path(path)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix.lower() in (".jpg", ".jpeg") else []
    try:
        done, data = cv2.imencode(path.suffix, image, options)
    except cv2.error:
        done = False
    if not done:
        raise UserError(f"{path}: cannot write pictures as {path.suffix or 'a file without suffix'!r}; "
                        "use .jpg or .png")
    write_whole(path, data.tobytes())


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
        _draw_line(canvas, start, end, BOX, width)
    if not text:
        return
    scale = 0.36 * (1 + 0.5 * width) / 1.5
    (across, up), below = cv2.getTextSize(_ascii(text), cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    left = int(np.clip(x0, 0, max(0, canvas.shape[1] - across - 4)))
    bottom = int(np.clip(y0, up + below + 2, canvas.shape[0]))
    cv2.rectangle(canvas, (left, bottom - up - below - 2), (left + across + 3, bottom), BOX, -1)
    cv2.putText(canvas, _ascii(text), (left + 2, bottom - below), cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1,
                cv2.LINE_AA)


def _draw_skeleton(canvas: np.ndarray, points: np.ndarray, levels: np.ndarray, keypoint_set: KeypointSet,
                   width: int) -> None:
    """Links, then points, of one instance; (K, 2) image px and (K,) as from :func:`_shown`."""
    colours = keypoint_colours(keypoint_set)
    links = [(a, b) for a, b in keypoint_set.skeleton if levels[a] and levels[b]]
    for a, b in links:
        _draw_line(canvas, points[a], points[b], OUTLINE, width + 2)
    for a, b in links:
        _draw_line(canvas, points[a], points[b], colours[a] if colours[a] == colours[b] else MIDDLE, width)
    for point, level, colour in zip(points, levels, colours):
        if level:
            _draw_point(canvas, point, colour, hollow=level == 1, width=width)


def _draw_point(canvas: np.ndarray, point: np.ndarray, colour: tuple[int, int, int], hollow: bool,
                width: int) -> None:
    """A disc, or a ring whose middle is left as it is."""
    import cv2

    radius = 2.0 * width + (2 if hollow else 1)
    height, across = canvas.shape[:2]
    reach = radius + 3
    if not (-reach <= point[0] <= across + reach and -reach <= point[1] <= height + reach):
        return
    centre = tuple(np.round(point * (1 << SHIFT)).astype(int).tolist())
    fixed = round(radius * (1 << SHIFT))
    if hollow:
        cv2.circle(canvas, centre, fixed, OUTLINE, width + 2, cv2.LINE_AA, SHIFT)
        cv2.circle(canvas, centre, fixed, colour, width, cv2.LINE_AA, SHIFT)
    else:
        cv2.circle(canvas, centre, fixed + (1 << SHIFT), OUTLINE, -1, cv2.LINE_AA, SHIFT)
        cv2.circle(canvas, centre, fixed, colour, -1, cv2.LINE_AA, SHIFT)


def _draw_line(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, colour: tuple[int, int, int],
               width: int) -> None:
    """A smooth line between two points (2,), image px; only the part near the picture reaches OpenCV."""
    import cv2

    clipped = clip_segment(start, end, -50.0, np.array(canvas.shape[1::-1]) + 50.0)
    if clipped is None:
        return
    a, b = (tuple(np.round(p * (1 << SHIFT)).astype(int).tolist()) for p in clipped)
    cv2.line(canvas, a, b, colour, width, cv2.LINE_AA, SHIFT)


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


def _paste(cell: np.ndarray, image: np.ndarray) -> None:
    """Scales a picture to fit a cell and puts it into its middle."""
    import cv2

    height, width = cell.shape[:2]
    factor = min(width / image.shape[1], height / image.shape[0])
    size = [max(1, min(round(n * factor), limit)) for n, limit in zip(image.shape[1::-1], (width, height))]
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    if scaled.ndim == 2:
        scaled = cv2.cvtColor(scaled, cv2.COLOR_GRAY2BGR)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    cell[top:top + size[1], left:left + size[0]] = scaled


def _write_title(bar: np.ndarray, title: str) -> None:
    """Writes a line into a bar, the middle left out where it is too long."""
    import cv2

    text, scale = _ascii(title), bar.shape[0] / 34
    kept = len(text)
    while kept > 2 and cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0] > bar.shape[1] - 4:
        kept -= 1
        text = _ascii(title)[:kept // 2] + "..." + _ascii(title)[len(title) - (kept - kept // 2):]
    # putText needs a contiguous picture, which part of a sheet is not.
    strip = np.ascontiguousarray(bar)
    foot = 2, round(0.72 * bar.shape[0])
    cv2.putText(strip, text, foot, cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA)
    bar[:] = strip


def _ascii(text: str) -> str:
    """The text as OpenCV's fonts can show it."""
    return text.encode("ascii", "replace").decode("ascii")
