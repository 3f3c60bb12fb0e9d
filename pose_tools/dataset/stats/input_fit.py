"""How well an input size of W x H px fits a data set, in numbers. Boxes and images are in image px."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from pose_tools.dataset.objects import Objects
from pose_tools.dataset.stats.input_geometry import Size, image_zooms, noise_oks, unused_shares, zooms

NOISE = 1.0  # input px; about what a trained model leaves
CELL = 8.0  # the finest stride of RTMDet, input px
CLEAR_SIDE = 2 * CELL


@dataclass(frozen=True)
class PoseFit:
    """How objects come to a keypoint model's input.

    Attributes:
        size: (W, H) of the input, px.
        cost: Area of the input over that of the present one; computing time goes with it.
        zoom: Input px per image px, median.
        enlarged: Share of the objects with a zoom above 1.
        unused: Share of the input beyond the padded box, mean.
        side: Square root of the object's area in input px, median.
        oks: OKS of the median object when each keypoint is off by :data:`NOISE` input px; None without sigmas.
        cut_off: Share of the labelled keypoints that lie outside of the input.
    """

    size: Size
    cost: float
    zoom: float
    enlarged: float
    unused: float
    side: float
    oks: Optional[float]
    cut_off: float


@dataclass(frozen=True)
class DetectorFit:
    """How images and their objects come to a detector's input.

    Attributes:
        size: (W, H) of the input, px.
        cost: Area of the input over that of the present one.
        zoom: Input px per image px, median.
        unused: Share of the input that is padding, mean.
        side: Short side in input px that nine objects in ten reach (10th percentile); None without objects.
        below_clear: Share of the objects whose short side is below 16 input px.
        below_cell: Share of them below 8 input px.
    """

    size: Size
    cost: float
    zoom: float
    unused: float
    side: Optional[float]
    below_clear: Optional[float]
    below_cell: Optional[float]


def cost(size: Size, current: Size) -> float:
    """How many times the area of ``current`` a size has."""
    return size[0] * size[1] / (current[0] * current[1])


@dataclass(frozen=True)
class PoseBoxes:
    """N objects as a keypoint model gets them, and their P labelled points.

    Attributes:
        sides: (N, 2) width and height of the box, image px.
        scale: (N,) square root of the area, image px.
        points: (P, 2) distance from the centre of their box, image px.
        owner: (P,) index of their object.
        sigmas: K of them, or none.
        current: The present input.
    """

    sides: np.ndarray
    scale: np.ndarray
    points: np.ndarray
    owner: np.ndarray
    sigmas: Sequence[float]
    current: Size

    def value(self, size: Size) -> float:
        """Mean log zoom of the objects, at most that of their own pixels."""
        return float(np.log(np.minimum(zooms(self.sides, size), 1)).mean())

    def fit(self, size: Size) -> PoseFit:
        """Measures an input size."""
        zoom = zooms(self.sides, size)
        side = float(np.median(zoom * self.scale))
        half = (np.asarray(size) / (2 * zoom[:, None])).astype(np.float32)
        outside = (self.points > half[self.owner]).any(axis=1)
        return PoseFit(size, cost(size, self.current), float(np.median(zoom)), float((zoom > 1).mean()),
                       float(unused_shares(self.sides, size).mean()), side,
                       noise_oks(side, self.sigmas, NOISE) if self.sigmas else None, float(outside.mean()))

    def oks(self, size: Size) -> float:
        """OKS of the median object when every keypoint is off by :data:`NOISE` input px."""
        return noise_oks(float(np.median(zooms(self.sides, size) * self.scale)), self.sigmas, NOISE)


def pose_boxes(objects: Objects, current: Size) -> PoseBoxes | None:
    """Collects the objects that have labelled keypoints; None when there are none.

    Args:
        objects: The data set.
        current: (W, H) of the present input, px.
    """
    rows = objects.labelled
    if not rows.any():
        return None
    boxes = objects.clipped_boxes()[rows]
    owner, number = np.nonzero(objects.visibility[rows] > 0)
    centre = (boxes[:, :2] + boxes[:, 2:] / 2).astype(np.float32)
    points = np.abs(objects.keypoints[rows][owner, number] - centre[owner])
    return PoseBoxes(boxes[:, 2:], np.sqrt(objects.areas[rows]), points, owner, objects.names.sigmas, current)


@dataclass(frozen=True)
class DetectorImages:
    """Images and objects as a detector gets them.

    Attributes:
        kinds: (S, 2) the sizes that images have, px.
        counts: (S,) how many have them.
        short: (N,) short sides of the objects, image px.
        kind: (N,) index of their image's size.
        current: The present input.
    """

    kinds: np.ndarray
    counts: np.ndarray
    short: np.ndarray
    kind: np.ndarray
    current: Size

    def share(self, test: np.ndarray) -> float:
        """Part of the images whose size passes a test (S,)."""
        return float(self.counts[test].sum() / self.counts.sum())

    def value(self, size: Size) -> float:
        """Mean log zoom of the images, at most that of their own pixels."""
        return float(np.average(np.log(np.minimum(image_zooms(self.kinds, size), 1)), weights=self.counts))

    def fit(self, size: Size) -> DetectorFit:
        """Measures an input size."""
        zoom = image_zooms(self.kinds, size)
        unused = 1 - zoom**2 * self.kinds.prod(axis=1) / (size[0] * size[1])
        shown = zoom[self.kind] * self.short
        some = len(shown) > 0
        return DetectorFit(size, cost(size, self.current), float(np.median(np.repeat(zoom, self.counts))),
                           float(np.average(unused, weights=self.counts)),
                           float(np.percentile(shown, 10)) if some else None,
                           float((shown < CLEAR_SIDE).mean()) if some else None,
                           float((shown < CELL).mean()) if some else None)


def detector_images(objects: Objects, current: Size) -> DetectorImages | None:
    """Collects the images whose size is known, and their objects; None when there are none.

    Args:
        objects: The data set.
        current: (W, H) of the present input, px.
    """
    known = ~np.isnan(objects.image_size).any(axis=1)
    if not known.any():
        return None
    kinds, kind, counts = np.unique(objects.image_size[known], axis=0, return_inverse=True, return_counts=True)
    of_image = np.full(len(known), -1)
    of_image[known] = kind
    rows = of_image[objects.image] >= 0
    short = objects.clipped_boxes()[rows, 2:].min(axis=1)
    return DetectorImages(kinds, counts, short, of_image[objects.image[rows]], current)
