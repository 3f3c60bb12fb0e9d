"""Upstream's transforms of a top-down pipeline, working on a picture of which only a part is at hand.

Each is a subclass that takes over an upstream transform's settings (see :mod:`..image_cache.swap`), draws the same
random numbers and gives the same sample bit for bit.
"""
from __future__ import annotations

import functools
from typing import Any, Optional

import cv2
import numpy as np
from mmpose.datasets.transforms import LoadImage, RandomFlip, TopdownAffine
from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

from pose_tools.openmmlab.image_cache.picture import Opener, Picture, clipped

# OpenCV counts source pixels of a warp in 1/1024 px, and its coordinates end at 16 bits.
_STEPS_PER_PIXEL, _MOST_SIDE = 1024.0, 32767
_FLIP_CODES = {"horizontal": 1, "vertical": 0, "diagonal": -1}


class LazyLoadImage(LoadImage):
    """Loads a :class:`Picture` instead of pixels."""

    opener: Opener

    def transform(self, results: dict[str, Any]) -> Optional[dict[str, Any]]:
        """Sets ``img``, ``img_shape`` and ``ori_shape``; see the base class."""
        if "img" in results:
            return super().transform(results)
        path = results["img_path"]
        picture = self.opener.open(path, lambda: LoadImage.transform(self, {"img_path": path})["img"])
        results["img"], results["img_shape"], results["ori_shape"] = picture, picture.size, picture.size
        return results


class CachedLoadImage(LazyLoadImage):
    """Loads all pixels, from the store where they are there: for pipelines with transforms we do not know."""

    def transform(self, results: dict[str, Any]) -> Optional[dict[str, Any]]:
        """As the base class, with pixels of its own."""
        results = super().transform(results)
        if results is not None and isinstance(results["img"], Picture):
            results["img"] = np.array(results["img"].whole())
        return results


class LazyRandomFlip(RandomFlip):
    """Flips boxes and keypoints, and leaves the picture's pixels to the affine, which needs few of them."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Sets ``flip_direction``; see the base class."""
        picture = results["img"]
        if not isinstance(picture, Picture):
            return super().transform(results)
        results["img"] = np.empty((1, 1, 3), np.uint8)
        results = super().transform(results)
        results["img"] = picture
        return results


class LazyTopdownAffine(TopdownAffine):
    """Warps the part of the picture that the network input shows."""

    def transform(self, results: dict[str, Any]) -> Optional[dict[str, Any]]:
        """Sets ``img``, the crop of shape (h, w, 3), and ``transformed_keypoints`` in crop px; see the base class."""
        picture = results["img"]
        if not isinstance(picture, Picture):
            return super().transform(results)
        width, height = self.input_size
        results["bbox_scale"] = self._fix_aspect_ratio(results["bbox_scale"], aspect_ratio=width / height)
        if len(results["bbox_center"]) != 1:
            raise ValueError(f"a top-down sample has one object, not {len(results['bbox_center'])}")
        centre, scale = results["bbox_center"][0], results["bbox_scale"][0]
        rotation = results["bbox_rotation"][0] if "bbox_rotation" in results else 0.0
        make = get_udp_warp_matrix if self.use_udp else get_warp_matrix
        matrix = make(centre, scale, rotation, output_size=(width, height))
        results["img"] = warp(picture, matrix, (int(width), int(height)), results.get("flip_direction"))
        if results.get("keypoints") is not None:
            before = results.get("transformed_keypoints")
            points = (results["keypoints"] if before is None else before).copy()
            points[..., :2] = cv2.transform(results["keypoints"][..., :2], matrix)
            results["transformed_keypoints"] = points
        else:
            results["transformed_keypoints"] = np.zeros([])
            results["keypoints_visible"] = np.ones((1, 1, 1))
        results["input_size"] = (width, height)
        results["input_center"], results["input_scale"] = centre, scale
        return results


def warp(picture: Picture, matrix: np.ndarray, size: tuple[int, int], flip: Optional[str] = None) -> np.ndarray:
    """Warps a picture as ``cv2.warpAffine`` does, bilinear and black outside, from the part it needs.

    Args:
        picture: What to warp.
        matrix: (2, 3), image px of the (flipped) picture to crop px.
        size: (w, h) of the crop, px.
        flip: ``horizontal``, ``vertical`` or ``diagonal``: how the picture is flipped before.

    Returns:
        uint8 of shape (h, w, 3).
    """
    height, width = picture.size
    inverse = inverted(matrix)
    # Corners of the crop in image px, with a pixel for interpolation and one for rounding on each side.
    ends = np.array([[0, 0], [size[0] - 1, 0], [0, size[1] - 1], [size[0] - 1, size[1] - 1]], float)
    corners = ends @ inverse[:, :2].T + inverse[:, 2]
    if np.isfinite(corners).all() and np.abs(corners).max() < _MOST_SIDE and part_is_exact():
        low, high = np.floor(corners.min(axis=0)) - 2, np.ceil(corners.max(axis=0)) + 3
        rect = clipped((int(low[0]), int(low[1]), int(high[0]), int(high[1])), picture.size)
        part = flipped(picture.region(_unflipped(rect, width, height, flip)), flip)
        moved = inverse.copy()
        moved[:, 2] -= rect[:2]
        if not same_steps(inverse, moved, rect[:2], size[1]):
            return by_steps(part, inverse, rect[:2], size)
        return cv2.warpAffine(part, moved, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return cv2.warpAffine(flipped(picture.whole(), flip), matrix, size, flags=cv2.INTER_LINEAR)


def inverted(matrix: np.ndarray) -> np.ndarray:
    """Inverts an affine matrix with the operations, and so the rounding, of OpenCV's ``warpAffine``.

    Args:
        matrix: (2, 3).

    Returns:
        (2, 3) float64.
    """
    (a, b, c), (d, e, f) = np.asarray(matrix, dtype=np.float64).tolist()
    factor = a * e - b * d
    factor = 1.0 / factor if factor else 0.0
    a, b, d, e = e * factor, b * -factor, d * -factor, a * factor
    return np.array([[a, b, -a * c - b * f], [d, e, -d * c - e * f]])


def same_steps(inverse: np.ndarray, moved: np.ndarray, by: tuple[int, ...], rows: int) -> bool:
    """Whether OpenCV rounds the source of each row alike after the origin was moved.

    It takes ``round((b * y + c) * 1024)`` for each row, a half to the even number. With whole pixels subtracted from
    ``c`` the sum has more binary places, and is then no half where it was one: in three samples of a hundred, since
    boxes are float32.
    """
    steps = np.arange(rows, dtype=np.float64)[:, None]
    here = np.rint((steps * inverse[:, 1] + inverse[:, 2]) * _STEPS_PER_PIXEL)
    there = np.rint((steps * moved[:, 1] + moved[:, 2]) * _STEPS_PER_PIXEL)
    return np.array_equal(here, there + np.asarray(by) * _STEPS_PER_PIXEL)


def by_steps(part: np.ndarray, inverse: np.ndarray, corner: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """Warps by the source coordinates that OpenCV would compute for the whole picture, as whole numbers.

    ``warpAffine`` rounds them to 1/1024 px, adds a half of 1/32 px, cuts to 1/32 px, and calls ``remap`` with those.

    Args:
        part: Pixels, uint8 of shape (h, w, 3).
        inverse: (2, 3), crop px to image px.
        corner: (x, y) of the part in the picture, px.
        size: (w, h) of the crop, px.
    """
    axes = []
    for axis in (0, 1):
        a, b, c = inverse[axis]
        columns = np.rint(a * np.arange(size[0]) * _STEPS_PER_PIXEL).astype(np.int32)
        rows = np.rint((b * np.arange(size[1]) + c) * _STEPS_PER_PIXEL).astype(np.int32)
        axes.append((rows[:, None] + columns[None] + 16) >> 5)
    pixels = np.stack([(axis >> 5) - start for axis, start in zip(axes, corner)], axis=-1).astype(np.int16)
    between = ((axes[1] & 31) * 32 + (axes[0] & 31)).astype(np.uint16)
    return cv2.remap(part, pixels, between, cv2.INTER_LINEAR)


def flipped(image: np.ndarray, flip: Optional[str]) -> np.ndarray:
    """An image flipped as mmcv's ``imflip`` does, in memory of its own."""
    return image if flip is None else cv2.flip(image, _FLIP_CODES[flip])


def _unflipped(rect: tuple[int, int, int, int], width: int, height: int, flip: Optional[str]
               ) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = rect
    if flip in ("horizontal", "diagonal"):
        x0, x1 = width - x1, width - x0
    if flip in ("vertical", "diagonal"):
        y0, y1 = height - y1, height - y0
    return x0, y0, x1, y1


@functools.cache
def part_is_exact() -> bool:
    """Whether this OpenCV gives the same from a part of a picture; tried out once, since versions may differ."""
    random = np.random.RandomState(0)
    image = random.randint(0, 256, (150, 220, 3), np.uint8)
    for _ in range(12):
        angle, scale = random.uniform(-40, 40), random.uniform(0.4, 4)
        matrix = cv2.getRotationMatrix2D((110.3, 75.7), angle, scale)
        matrix[:, 2] += 32 - random.uniform(50, 100, 2)
        inverse = inverted(matrix)
        corners = np.array([[0, 0], [63, 0], [0, 63], [63, 63]]) @ inverse[:, :2].T + inverse[:, 2]
        low, high = np.floor(corners.min(axis=0)) - 2, np.ceil(corners.max(axis=0)) + 3
        x0, y0, x1, y1 = clipped((int(low[0]), int(low[1]), int(high[0]), int(high[1])), (150, 220))
        part = image[y0:y1, x0:x1]
        stepped = by_steps(part, inverse, (x0, y0), (64, 64))
        inverse[:, 2] -= (x0, y0)
        warped = cv2.warpAffine(part, inverse, (64, 64), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        whole = cv2.warpAffine(image, matrix, (64, 64), flags=cv2.INTER_LINEAR)
        if not (np.array_equal(warped, whole) and np.array_equal(stepped, whole)):
            return False
    return True
