"""Augmentation of the network input for RTMPose.

Upstream takes blur and coarse dropout from albumentations, which is no longer maintained under a free
licence and whose releases fit other numpys than ours; RTMPose needs these two of it.
"""
from __future__ import annotations

from typing import Any, Optional

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomCropBlur(BaseTransform):
    """Blurs ``results['img']`` by a box or a median filter of 3 to 7 px; keypoints stay as they are.

    Args:
        prob: Probability that a sample is blurred.
    """

    def __init__(self, prob: float = 0.2) -> None:
        """Sets the probability."""
        self.prob = prob

    def transform(self, results: dict[str, Any]) -> Optional[dict[str, Any]]:
        """Blurs ``results['img']``, uint8 of shape (H, W, 3) in crop px."""
        if np.random.rand() < self.prob:
            size = int(np.random.choice([3, 5, 7]))
            image = results["img"]
            results["img"] = cv2.blur(image, (size, size)) if np.random.rand() < 0.5 else cv2.medianBlur(image, size)
        return results


@TRANSFORMS.register_module()
class RandomCropDropout(BaseTransform):
    """Blacks out one rectangle of ``results['img']``, so that hidden keypoints are inferred from the rest.

    After "Improved Regularization of Convolutional Neural Networks with Cutout" (arXiv:1708.04552), with the
    sizes of the RTMPose recipe (arXiv:2303.07399): sides of 0.2 to 0.4 of the crop.

    Args:
        prob: Probability that a sample loses a rectangle.
        side: Least and greatest side as shares of the crop's width and height.
    """

    def __init__(self, prob: float = 1.0, side: tuple[float, float] = (0.2, 0.4)) -> None:
        """Sets probability and size."""
        self.prob, self.side = prob, side

    def transform(self, results: dict[str, Any]) -> Optional[dict[str, Any]]:
        """Blacks out a rectangle of ``results['img']``, uint8 of shape (H, W, 3) in crop px."""
        if np.random.rand() < self.prob:
            image = results["img"] = results["img"].copy()
            height, width = image.shape[:2]
            hole_h, hole_w = (int(size * np.random.uniform(*self.side)) for size in (height, width))
            top, left = np.random.randint(0, height - hole_h + 1), np.random.randint(0, width - hole_w + 1)
            image[top:top + hole_h, left:left + hole_w] = 0
        return results
