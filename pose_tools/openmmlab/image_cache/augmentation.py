"""Upstream's augmentation and targets computed with less work: tables in the place of arithmetic over pixels.

Each class takes over an upstream transform's settings, draws the same random numbers and gives the same values.
"""
from __future__ import annotations

import functools
from itertools import product
from typing import Any, Optional

import cv2
import mmdet.datasets.transforms as det
import mmpose.datasets.transforms as pose
import numpy as np
import torch
from mmpose.codecs import SimCCLabel
from scipy.special import ndtri_exp


class _ByChannel:
    """What mmdet's and mmpose's YOLOXHSVRandomAug have in common."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Changes hue, saturation and value of ``results['img']``, uint8 of shape (H, W, 3), in place."""
        image = results["img"]
        if image.dtype != np.uint8:
            return super().transform(results)  # type: ignore[misc]
        gains = self._get_hsv_gains()  # type: ignore[attr-defined]
        parts = list(cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV)))
        hue, *others = (int(gain) for gain in gains)
        if hue:
            parts[0] = cv2.LUT(parts[0], hue_table(hue))
        for index, gain in enumerate(others, start=1):
            if gain:
                parts[index] = cv2.add(parts[index], gain)  # which ends at 0 and 255
        cv2.cvtColor(cv2.merge(parts), cv2.COLOR_HSV2BGR, dst=image)
        return results


def hue_table(gain: int) -> np.ndarray:
    """What each hue becomes.

    Args:
        gain: What is added.

    Returns:
        uint8 of shape (256,); hue goes round at 180.
    """
    return ((np.arange(256) + gain) % 180).astype(np.uint8)


class FastHSVOfDetector(_ByChannel, det.YOLOXHSVRandomAug):
    """mmdet's colour change, channel by channel."""


class FastHSVOfPose(_ByChannel, pose.YOLOXHSVRandomAug):
    """mmpose's colour change, channel by channel."""


class FastRandomBBoxTransform(pose.RandomBBoxTransform):
    """Upstream's random box; scipy's checks of arguments took longer than the numbers."""

    @staticmethod
    def _truncnorm(low: float = -1.0, high: float = 1.0, size: tuple[int, ...] = ()) -> np.ndarray:
        if (low, high) == (-1.0, 1.0) and normal_is_exact():
            return _cut_normal(np.random.uniform(size=size)).astype(np.float32)
        return pose.RandomBBoxTransform._truncnorm(low, high, size)


@functools.cache
def _log_masses() -> tuple[float, float]:
    """Logarithms of the normal distribution's mass below -1 and between -1 and 1."""
    from scipy.stats import _continuous_distns as distributions

    return float(distributions._norm_logcdf(-1.0)), float(distributions._log_gauss_mass(-1.0, 1.0)[()])


def _cut_normal(uniform: np.ndarray) -> np.ndarray:
    """Normal numbers between -1 and 1 from uniform ones, by the inverse of their distribution in logarithms."""
    below, between = _log_masses()
    logs = np.stack([np.full_like(uniform, below), np.log(uniform) + between])
    top = logs.max(axis=0, keepdims=True)
    return ndtri_exp(np.log(np.exp(logs - top).sum(axis=0)) + top[0])


@functools.cache
def normal_is_exact() -> bool:
    """Whether our numbers are those of this scipy, tried out once, without touching the random state."""
    state = np.random.get_state()
    try:
        np.random.seed(0)
        theirs = pose.RandomBBoxTransform._truncnorm(size=(500, 4))
        after = np.random.rand()
        np.random.seed(0)
        ours = _cut_normal(np.random.uniform(size=(500, 4))).astype(np.float32)
        return np.array_equal(theirs, ours) and after == np.random.rand()
    except (AttributeError, TypeError, ValueError):  # these are scipy's own functions, which it may rename
        return False
    finally:
        np.random.set_state(state)


class FastSimCCLabel(SimCCLabel):
    """Upstream's labels; the bell curve is computed once, since its centre is always at a whole bin."""

    def _tables(self) -> list[tuple[np.ndarray, int]]:
        """For x and y: the curve at every whole distance that occurs, and where distance 0 stands."""
        made = self.__dict__.get("_curves")
        if made is None:
            made = []
            for side, sigma in zip(self.input_size, self.sigma):
                far = int(np.around(side * self.simcc_split_ratio)) + int(np.ceil(sigma * 3)) + 2
                away = np.arange(-far, far + 1, dtype=np.float32)
                made.append((np.exp(-(away**2) / (2 * sigma**2)), far))
            self._curves = made
        return made

    def _generate_gaussian(self, keypoints: np.ndarray, keypoints_visible: Optional[np.ndarray] = None
                           ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        count, points, _ = keypoints.shape
        bins = [int(np.around(side * self.simcc_split_ratio)) for side in self.input_size]
        centres, weights = self._map_coordinates(keypoints, keypoints_visible)
        targets = [np.zeros((count, points, size), dtype=np.float32) for size in bins]
        radius, tables = self.sigma * 3, self._tables()
        for n, k in product(range(count), range(points)):
            if keypoints_visible[n, k] < 0.5:
                continue
            middle = centres[n, k].tolist()
            if any(middle[axis] - radius[axis] >= bins[axis] or middle[axis] + radius[axis] + 1 < 0
                   for axis in (0, 1)):
                weights[n, k] = 0
                continue
            for axis, (curve, zero) in enumerate(tables):
                first = zero - middle[axis]
                targets[axis][n, k] = curve[first:first + bins[axis]]
        if self.normalize:
            scale = self.sigma * np.sqrt(np.pi * 2)
            for axis in (0, 1):
                targets[axis] /= scale[axis]
        return targets[0], targets[1], weights


def planes(image: np.ndarray) -> torch.Tensor:
    """A BGR image as a tensor.

    Args:
        image: uint8 of shape (H, W, 3).

    Returns:
        uint8 of shape (3, H, W), contiguous.
    """
    made = np.empty((3, *image.shape[:2]), np.uint8)
    cv2.split(image, list(made))
    return torch.from_numpy(made)


class _PackedPlanes:
    """What mmdet's and mmpose's packing have in common."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """As upstream; ``inputs`` is made plane by plane."""
        image = results.get("img")
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            return super().transform(results)  # type: ignore[misc]
        results["img"] = image[:1, :1]
        packed = super().transform(results)  # type: ignore[misc]
        results["img"] = image
        packed["inputs"] = planes(image)
        return packed


class FastPackPoseInputs(_PackedPlanes, pose.PackPoseInputs):
    """mmpose's packing."""


class FastPackDetInputs(_PackedPlanes, det.PackDetInputs):
    """mmdet's packing."""
