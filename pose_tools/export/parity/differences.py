"""How far two models' outputs lie apart, from arrays alone."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_tools.inference.runtime.geometry import boxes_to_crops, check_boxes

STATISTICS = ("p95", "p99", "max")


@dataclass(frozen=True)
class Spread:
    """Statistics of differences, all in the unit of the values.

    Attributes:
        count: How many values there are.
        mean: NaN where there are none, as all that follow.
        p95: The least value that 95% of the values do not exceed.
        p99: Likewise.
        max: The largest.
    """

    count: int
    mean: float = math.nan
    p95: float = math.nan
    p99: float = math.nan
    max: float = math.nan

    @classmethod
    def of(cls, values: np.ndarray) -> Spread:
        """Summarises differences; one NaN among them makes all statistics NaN, which is within no limit."""
        values = np.abs(np.asarray(values, np.float64)).ravel()
        if not len(values):
            return cls(0)
        # One that occurs, not one between two that do: of ten values the 99th percentile is the largest.
        p95, p99 = (float(np.quantile(values, share, method="inverted_cdf")) for share in (0.95, 0.99))
        return cls(len(values), float(values.mean()), p95, p99, float(values.max()))

    def to_dict(self) -> dict[str, Any]:
        """The numbers by name; NaN as None, since JSON has no word for it."""
        return {"count": self.count, **{name: None if math.isnan(value) else value for name, value in
                                        (("mean", self.mean), *((name, getattr(self, name)) for name in STATISTICS))}}


def shortfalls(curves: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Says how much lower curves are at some bins than at their best.

    An argmax that moved because of rounding went to a bin that is as high but for rounding, wherever it lies.

    Args:
        curves: (N, K, B) SimCC x or y of one model.
        bins: (N, K) simcc bins that another model chose.

    Returns:
        (N, K) from 0 (as high as the best) to 1 (the lowest, or no bin at all), as shares of the height between the
        lowest and the highest bin; 0 for a flat curve.
    """
    best, lowest = curves.max(axis=-1), curves.min(axis=-1)
    inside = (bins >= 0) & (bins < curves.shape[-1])
    chosen = np.where(inside, bins, 0).astype(np.int64)[..., None]
    missing = best - np.take_along_axis(curves, chosen, axis=-1)[..., 0]
    height = best - lowest
    share = np.divide(missing, height, out=np.zeros_like(missing), where=height > 0)
    return np.where(inside, share, 1.0)


def curve_differences(curves: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Largest difference of each curve, as a share of its height.

    Args:
        curves: (N, K, B) SimCC x or y of the reference.
        others: The same of the other model.

    Returns:
        (N, K); infinite where the reference's curve is flat and the other one differs.
    """
    apart = np.abs(curves - others).max(axis=-1)
    height = curves.max(axis=-1) - curves.min(axis=-1)
    return np.divide(apart, height, out=np.where(apart > 0, np.inf, apart * 0.0), where=height > 0)


class CropSpace:
    """The crops of some boxes, to bring keypoints from image px to crop px and to simcc bins.

    Args:
        boxes: (N, 4) xyxy, image px.
        input_size: (w, h), crop px.
        padding: Factor on the sides of a box.
        split_ratio: simcc bins for each crop px.
    """

    def __init__(self, boxes: np.ndarray, input_size: tuple[int, int], padding: float, split_ratio: float) -> None:
        """Places the crops."""
        crops = boxes_to_crops(check_boxes(boxes), input_size, padding, False)
        self.size, self.ratio = np.asarray(input_size, np.float64), split_ratio
        self.scales = np.asarray(crops.scales, np.float64)[:, None]
        self.corners = np.asarray(crops.centers, np.float64)[:, None] - 0.5 * self.scales

    def image_to_crop(self, points: np.ndarray) -> np.ndarray:
        """Takes points (N, K, 2) from image px to crop px."""
        return (points - self.corners) / self.scales * self.size

    def image_to_bins(self, points: np.ndarray) -> np.ndarray:
        """Takes points (N, K, 2) from image px to the nearest simcc bins."""
        return np.rint(np.nan_to_num(self.image_to_crop(points), nan=-1.0) * self.ratio).astype(np.int64)

    def distances(self, points: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances (N, K) of points from others: in image px, and in crop px."""
        in_image = np.linalg.norm(points - others, axis=-1)
        in_crop = np.linalg.norm((points - others) / self.scales * self.size, axis=-1)
        return in_image, in_crop
