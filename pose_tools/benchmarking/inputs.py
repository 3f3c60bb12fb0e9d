"""What is fed to models whose time is taken from a picture file to results: a picture and boxes."""
from __future__ import annotations

from pathlib import Path

import numpy as np


def some_boxes(size: tuple[int, int], count: int) -> np.ndarray:
    """Boxes such as a detector finds: always the same, between a fifth and three fifths of the picture's sides.

    Args:
        size: (w, h) of the picture.
        count: How many.

    Returns:
        (count, 4) xyxy float32, image px, inside the picture.
    """
    rng = np.random.default_rng(0)
    sides = np.array(size) * rng.uniform(0.2, 0.6, (count, 2))
    corners = (np.array(size) - sides) * rng.uniform(0, 1, (count, 2))
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32)


def make_picture(path: Path, size: tuple[int, int] = (1280, 720)) -> Path:
    """Writes a JPEG of soft blobs and some noise, which decodes as slowly as a photograph does.

    Args:
        path: The file.
        size: (w, h).
    """
    import cv2

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC).astype(np.int16)
    picture += rng.normal(0, 6, picture.shape).astype(np.int16)
    cv2.imwrite(str(path), picture.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])
    return path
