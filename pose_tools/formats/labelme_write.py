"""Writing labelme files as labelme 5 saves them. Coordinates are image px."""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

LABELME_VERSION = "5.5.0"


def labelme_shape(label: str, points: Sequence[Sequence[float]], group: int, kind: str,
                  flags: Mapping[str, bool] | None = None, description: str = "") -> dict[str, Any]:
    """Builds one shape.

    Args:
        label: Class or keypoint name.
        points: Corners or the position, image px.
        group: ``group_id``, the same for everything that belongs to an object.
        kind: ``rectangle``, ``polygon`` or ``point``.
        flags: Switches such as ``occluded``.
        description: Free text.
    """
    return {"label": label, "points": [[float(x), float(y)] for x, y in points], "group_id": group,
            "description": description, "shape_type": kind, "flags": dict(flags or {}), "mask": None}


def labelme_content(shapes: Sequence[Mapping[str, Any]], image_path: str, size: tuple[int, int]) -> dict[str, Any]:
    """Builds a file.

    Args:
        shapes: From :func:`labelme_shape`.
        image_path: Of the image, relative to the file.
        size: (width, height) of the image, px.
    """
    return {"version": LABELME_VERSION, "flags": {}, "shapes": list(shapes), "imagePath": image_path,
            "imageData": None, "imageHeight": size[1], "imageWidth": size[0]}


def labelme_text(content: Mapping[str, Any]) -> str:
    """The file's text."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=2)
