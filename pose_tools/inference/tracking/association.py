"""Which detection is which object: similarity of boxes and keypoints, and the best assignment. Image px."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DEFAULT_SIGMA = 0.067  # the mean of COCO's seventeen, for a keypoint set that does not know its own


def sigmas_or_default(sigmas: Sequence[float], keypoints: int) -> np.ndarray:
    """(K,) OKS sigmas; :data:`DEFAULT_SIGMA` for all where a keypoint set has none."""
    return np.asarray(sigmas, float) if len(sigmas) == keypoints else np.full(keypoints, DEFAULT_SIGMA)


def keypoint_similarity(a: np.ndarray, b: np.ndarray, weights: np.ndarray, scales: np.ndarray, sigmas: np.ndarray,
                        variances: np.ndarray) -> np.ndarray:
    """OKS of all pairs, as COCO defines it (cocodataset.org, keypoints-eval), with two additions for tracking.

    A keypoint counts by its weight rather than by being labelled; and since ``a`` was predicted, the variance of that
    prediction is added to the variance that COCO allows, ``(2 sigma)^2 area``.

    Args:
        a: (N, K, 2) where keypoints are expected, image px.
        b: (M, K, 2) where they were found, image px.
        weights: (N, M, K), 0 or more.
        scales: (N,) areas of the objects, px^2.
        sigmas: (K,) shares of the square root of the area.
        variances: (N,) of the prediction along an axis, px^2.

    Returns:
        (N, M) in [0, 1]; 0 where all weights are.
    """
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=3)
    allowed = (2 * sigmas) ** 2 * scales[:, None] + variances[:, None]
    each = np.exp(-squared / (2 * np.maximum(allowed, 1e-12))[:, None])
    total = weights.sum(axis=2)
    return np.divide((each * weights).sum(axis=2), total, out=np.zeros(total.shape), where=total > 0)


def assign(similarity: np.ndarray, allowed: np.ndarray) -> list[tuple[int, int]]:
    """The pairs with the greatest sum of similarities, among those that are allowed.

    Args:
        similarity: (N, M), 0 or more.
        allowed: (N, M) bool. The others count nothing in the sum, rather than being thrown away afterwards: they must
            not keep a pair apart.

    Returns:
        (row, column) pairs, each index at most once, sorted.
    """
    if not allowed.any():
        return []
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(np.where(allowed, similarity + 1e-6, 0.0), maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns) if allowed[i, j]]
