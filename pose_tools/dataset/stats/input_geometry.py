"""How boxes and images come to a network's input of W x H px; sides are image px."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Size = tuple[int, int]

PADDING = 1.25  # mmpose's GetBBoxCenterScale


def zooms(sides: np.ndarray, size: Size) -> np.ndarray:
    """(N,) input px per image px for boxes of width and height ``sides`` (N, 2), image px, in an input ``size``."""
    return (np.asarray(size) / (PADDING * sides)).min(axis=1)


def unused_shares(sides: np.ndarray, size: Size) -> np.ndarray:
    """(N,) share of the input beyond the padded box, for boxes of width and height ``sides`` (N, 2), image px."""
    relative = sides[:, 0] / sides[:, 1] * size[1] / size[0]
    return 1 - np.minimum(relative, 1 / relative)


def noise_oks(side: float, sigmas: Sequence[float], noise: float = 1.0) -> float:
    """OKS of an object whose keypoints are all off by the same distance.

    ``mean(exp(-d^2 / (2 s^2 k^2)))`` with k = 2 sigma, as COCO's keypoint evaluation has it.

    Args:
        side: s, the square root of the object's area, px.
        sigmas: One a keypoint, as shares of s.
        noise: d, in the same px.
    """
    return float(np.exp(-noise**2 / (8 * side**2 * np.square(sigmas))).mean())


def image_zooms(images: np.ndarray, size: Size) -> np.ndarray:
    """(M,) input px per image px for images of ``images`` (M, 2) px, scaled as mmcv's ``rescale_size`` does."""
    return np.minimum(max(size) / images.max(axis=1), min(size) / images.min(axis=1))
