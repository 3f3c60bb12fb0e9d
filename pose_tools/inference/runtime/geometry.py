"""Boxes to crops and back, for all instances at once.

Spaces: *image px* and *crop px*, the affine-warped network input. The formulas are mmpose 1.3's
(``structures/bbox/transforms.py``, ``TopdownAffine``), with its rounding to float32, so that crops are the same to the
pixel.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_tools.console import UserError


@dataclass(frozen=True)
class Crops:
    """Where N crops lie in their images.

    Attributes:
        centers: (N, 2) image px.
        scales: (N, 2) width and height that a crop covers, image px.
        matrices: (N, 2, 3) image px to crop px.
    """

    centers: np.ndarray
    scales: np.ndarray
    matrices: np.ndarray


def check_boxes(boxes: Any) -> np.ndarray:
    """Gives boxes as (N, 4) xyxy floats; float32 stays float32, since rounding follows it.

    Raises:
        UserError: They have another shape, or are not finite numbers.
    """
    array = np.asarray(boxes)
    if array.size == 0:
        return np.zeros((0, 4), np.float32)
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "iuf":
        raise UserError(f"expected boxes as (N, 4) numbers x1 y1 x2 y2, got {array.shape} of {array.dtype}")
    array = array if array.dtype == np.float32 else array.astype(np.float64)
    if not np.isfinite(array).all():
        raise UserError("expected boxes of finite numbers, got nan or inf")
    return array


def boxes_to_crops(boxes: np.ndarray, input_size: tuple[int, int], padding: float, use_udp: bool) -> Crops:
    """Places the crops of boxes: padded, and widened or heightened to the aspect of the network input.

    Args:
        boxes: (N, 4) xyxy, image px, from :func:`check_boxes`. One without area gets a crop of a millionth px.
        input_size: (w, h) of the crops, crop px.
        padding: Factor on the sides of a box.
        use_udp: Whether the outer pixel centres, not the outer edges, of box and crop meet.
    """
    width, height = input_size
    aspect = width / height
    centers = (boxes[:, 2:] + boxes[:, :2]) * 0.5
    sides = np.maximum((boxes[:, 2:] - boxes[:, :2]) * padding, 1e-6)
    wide = sides[:, :1] > sides[:, 1:] * aspect
    scales = np.where(wide, np.concatenate([sides[:, :1], sides[:, :1] / aspect], axis=1),
                      np.concatenate([sides[:, 1:] * aspect, sides[:, 1:]], axis=1))
    matrices = (_udp_matrices if use_udp else _matrices)(centers, scales, width, height)
    return Crops(centers, scales, matrices)


def _matrices(centers: np.ndarray, scales: np.ndarray, width: int, height: int) -> np.ndarray:
    """As ``get_warp_matrix`` has it: from three points that are rounded to float32 before the equations are solved."""
    x, y = centers.astype(np.float32).astype(np.float64).T
    left = (centers[:, 0].astype(np.float64) - scales[:, 0].astype(np.float64) * 0.5).astype(np.float32)
    half = x.astype(np.float32) - left
    below = (y.astype(np.float32) + half).astype(np.float64)
    matrices = np.zeros((len(centers), 2, 3))
    # Far out, a tiny box rounds to no width at all; what its crop then shows is of no matter.
    matrices[:, 0, 0] = 0.5 * width / np.where(x > left, x - left, 1)
    matrices[:, 1, 1] = 0.5 * width / np.where(below > y, below - y, 1)
    matrices[:, 0, 2] = 0.5 * width - matrices[:, 0, 0] * x
    matrices[:, 1, 2] = 0.5 * height - matrices[:, 1, 1] * y
    return matrices


def _udp_matrices(centers: np.ndarray, scales: np.ndarray, width: int, height: int) -> np.ndarray:
    """As ``get_udp_warp_matrix`` has it, which keeps the matrix in float32."""
    centers, scales = centers.astype(np.float64), scales.astype(np.float64)
    factors = np.array([width - 1, height - 1]) / scales
    matrices = np.zeros((len(centers), 2, 3))
    matrices[:, 0, 0], matrices[:, 1, 1] = factors.T
    matrices[:, :, 2] = factors * (0.5 * scales - centers)
    return matrices.astype(np.float32)


def crops_to_image(keypoints: np.ndarray, centers: np.ndarray, scales: np.ndarray,
                   input_size: tuple[int, int]) -> np.ndarray:
    """Takes keypoints from crop px to image px, as ``TopdownPoseEstimator`` does.

    Args:
        keypoints: (N, K, 2) crop px.
        centers: (N, 2) image px.
        scales: (N, 2) image px.
        input_size: (w, h), crop px.

    Returns:
        (N, K, 2) float32, image px.
    """
    scales = scales[:, None]
    moved = keypoints / np.array(input_size, np.float64) * scales + centers[:, None] - 0.5 * scales
    return moved.astype(np.float32)
