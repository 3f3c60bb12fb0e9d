"""Lays heat maps over pictures."""
from __future__ import annotations

import numpy as np

_FULL = 0.35  # heat from which on the colour is as opaque as it gets


def draw_heatmap(image: np.ndarray, heatmap: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """Lays a heat map over a picture: the hotter, the redder; what has no heat stays as it is.

    Args:
        image: BGR (H, W, 3) or grey (H, W), uint8.
        heatmap: (H, W) in [0, 1]; what is beyond is cut, and what is no number counts as 0.
        alpha: How opaque the colours are at most, in [0, 1].

    Returns:
        A new picture (H, W, 3).

    Raises:
        ValueError: The heat map has another size than the picture.
    """
    import cv2

    if heatmap.shape != image.shape[:2]:
        raise ValueError(f"a heat map of {heatmap.shape} for a picture of {image.shape[:2]}")
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else np.array(image, order="C")
    hot = np.flatnonzero(heatmap > 0)  # few, as a rule
    levels = (np.minimum(heatmap.ravel().take(hot), 1) * 255 + 0.5).astype(np.uint8)
    weights = np.minimum(np.arange(256, dtype=np.float32) / 255 / _FULL, 1)[:, None] * np.full(3, alpha, np.float32)
    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_JET)[:, 0] * weights + np.float32(0.5)
    pixels = canvas.reshape(-1, 3)
    pixels[hot] = pixels.take(hot, 0) * (1 - weights).take(levels, 0) + colours.take(levels, 0)
    return canvas
