"""From keypoints to the box around them, for frames in which no detector ran."""
from __future__ import annotations

import numpy as np

# Weight of the scale that the motion expects, against keypoints: as much as one keypoint half a size off the centre.
PRIOR = 0.25


def follow_box(box: np.ndarray, before: np.ndarray, now: np.ndarray, weights: np.ndarray,
               expected_scale: float) -> np.ndarray:
    """Moves and scales a box as its keypoints moved since a detector gave it.

    The scale s and the shift that take the old keypoints to the new ones with the least weighted squares (Umeyama 1991
    without the rotation: boxes are upright), the scale drawn to what the motion expects, so that one or two keypoints
    do not tell a size. A keypoint that the others put far off (three times the median distance) is left out: a swap of
    left and right, say.

    Args:
        box: (4,) xyxy of the detector, image px.
        before: (K, 2) keypoints in that frame, image px.
        now: (K, 2) keypoints in this frame, image px.
        weights: (K,), 0 or more; not all 0.
        expected_scale: Size of the object now by its size then.

    Returns:
        (4,) xyxy, image px.
    """
    prior = PRIOR * max(float(np.prod(box[2:] - box[:2])), 1e-12)
    scale, from_, to = _fit(before, now, weights, expected_scale, prior)
    off = np.linalg.norm(to + scale * (before - from_) - now, axis=1)
    known = weights > 0
    if known.sum() > 3:
        kept = weights * (off <= 3 * np.median(off[known]))
        if kept.any():
            scale, from_, to = _fit(before, now, kept, expected_scale, prior)
    return (to + scale * (box.reshape(2, 2) - from_)).reshape(4)


def _fit(before: np.ndarray, now: np.ndarray, weights: np.ndarray, expected: float,
         prior: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, and the weighted centres before and now; weights are taken relative to the greatest."""
    weights = (weights / weights.max())[:, None]
    from_, to = ((weights * points).sum(axis=0) / weights.sum() for points in (before, now))
    old, new = before - from_, now - to
    scale = ((weights * old * new).sum() + prior * expected) / ((weights * old * old).sum() + prior)
    return float(np.clip(scale, 0.5 * expected, 2 * expected)), from_, to
