"""SimCC outputs to keypoints, for all instances at once.

SimCC (https://arxiv.org/abs/2107.03332) classifies x and y apart; a bin is ``1 / simcc_split_ratio`` crop px.
"""
from __future__ import annotations

import numpy as np


def simcc_to_keypoints(x: np.ndarray, y: np.ndarray, split_ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Takes the highest bin of each axis, as mmpose's ``get_simcc_maximum`` does.

    Args:
        x: (N, K, W * split_ratio).
        y: (N, K, H * split_ratio).
        split_ratio: simcc bins for each crop px.

    Returns:
        Keypoints (N, K, 2) float32, crop px, ``-1 / split_ratio`` where the score is not positive; and scores (N, K):
        the lower of the two maxima, raw, not probabilities.
    """
    bins = np.stack([x.argmax(axis=-1), y.argmax(axis=-1)], axis=-1)
    scores = np.minimum(np.take_along_axis(x, bins[..., :1], -1), np.take_along_axis(y, bins[..., 1:], -1))[..., 0]
    keypoints = bins.astype(np.float32)
    keypoints[scores <= 0] = -1
    return keypoints / np.float32(split_ratio), scores


def average_mirrored(outputs: tuple[np.ndarray, np.ndarray], mirrored: tuple[np.ndarray, np.ndarray],
                     flip_indices: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Averages the outputs of crops and of their mirror images, as mmpose's flip test does.

    Args:
        outputs: SimCC x and y of the crops, (N, K, bins).
        mirrored: Likewise, of the mirrored crops.
        flip_indices: Keypoint ``i`` of the mirrored crop is keypoint ``flip_indices[i]``.
    """
    order = list(flip_indices)
    return ((outputs[0] + mirrored[0][:, order, ::-1]) * np.float32(0.5),
            (outputs[1] + mirrored[1][:, order]) * np.float32(0.5))
