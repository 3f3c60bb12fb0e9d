"""Drawing labelme and YOLO files as they are, for the pictures of docs/commands. Coordinates are image px."""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

# BGR, one a group_id or an object.
COLOURS = ((60, 60, 230), (60, 180, 60), (230, 120, 40), (200, 60, 200))


def write(canvas: np.ndarray, text: str, place: Sequence[float], colour: Sequence[int]) -> None:
    """Writes beside a place (image px), readable on any ground."""
    at = int(place[0]) + 4, int(place[1]) - 4
    for ink, width in (((255, 255, 255), 3), (colour, 1)):
        cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, ink, width, cv2.LINE_AA)


def labelme(path: str) -> np.ndarray:
    """The shapes of a labelme file, one colour a ``group_id``, which is written beside the rectangles."""
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    canvas = cv2.imread(str(Path(path).with_name(data["imagePath"])))
    for shape in data["shapes"]:
        colour = COLOURS[(shape["group_id"] - 1) % len(COLOURS)]
        points = np.array(shape["points"]).round().astype(int)
        if shape["shape_type"] == "rectangle":
            cv2.rectangle(canvas, points[0].tolist(), points[1].tolist(), colour, 2)
            write(canvas, f"{shape['label']}, group {shape['group_id']}", points[0], colour)
        else:
            cv2.circle(canvas, points[0].tolist(), 4, colour, 1 if shape["flags"].get("occluded") else -1, cv2.LINE_AA)
    return canvas


def yolo(label: str, image: str) -> np.ndarray:
    """The objects of a YOLO label file, their keypoints numbered from 0, over axes in shares of the picture."""
    canvas = cv2.imread(image)
    size = np.array(canvas.shape[1::-1])
    for share in (0.25, 0.5, 0.75):
        x, y = (size * share).astype(int).tolist()
        cv2.line(canvas, (x, 0), (x, int(size[1])), (255, 255, 255), 1)
        cv2.line(canvas, (0, y), (int(size[0]), y), (255, 255, 255), 1)
        write(canvas, f"{share:g}", (x, 16), (0, 0, 0))
        write(canvas, f"{share:g}", (0, y), (0, 0, 0))
    for number, line in enumerate(Path(label).read_text(encoding="utf-8").splitlines()):
        colour = COLOURS[number % len(COLOURS)]
        values = np.array(line.split(), float)
        middle, sides = values[1:3] * size, values[3:5] * size
        corners = [(middle + sign * sides / 2).round().astype(int).tolist() for sign in (-1, 1)]
        cv2.rectangle(canvas, *corners, colour, 2)
        for index, (x, y, seen) in enumerate(values[5:].reshape(-1, 3)):
            if seen:
                at = (size * (x, y)).round().astype(int).tolist()
                cv2.circle(canvas, at, 4, colour, 1 if seen == 1 else -1, cv2.LINE_AA)
                write(canvas, str(index), at, colour)
    return canvas
