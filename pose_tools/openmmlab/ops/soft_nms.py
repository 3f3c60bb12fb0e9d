"""Soft-NMS as ``mmcv/ops/csrc/pytorch/cpu/nms.cpp`` does it (Bodla et al., 2017, arXiv:1704.04503).

The compiled operator works in place: it swaps the best box to the front, lowers the scores behind it, and
fills the place of a box it drops with the last one. Which of two boxes of equal score comes first hangs on
those swaps, so they are followed here, all drops of a round at once.
"""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pose_tools.openmmlab.ops.nms import as_array, box_areas, overlaps

NAIVE, LINEAR, GAUSSIAN = 0, 1, 2


def _best(scores: np.ndarray) -> int:
    """Position of the first highest score; 0 if the first is NaN, as a comparison with NaN is never true."""
    if scores[0] != scores[0]:
        return 0
    best = int(scores.argmax())
    if scores[best] != scores[best]:
        best = int(np.where(np.isnan(scores), -np.inf, scores).argmax())
    return best


def _lower(
    scores: np.ndarray, overlap: np.ndarray, threshold: np.floating, sigma: np.floating, method: int
) -> None:
    """Multiplies scores (N,) in place by a weight that falls with the overlap (N,)."""
    if method == GAUSSIAN:
        touched = np.flatnonzero(overlap)
        exponent = -(overlap[touched] * overlap[touched]) / sigma
        # Rounded from float64: expf is right to the last bit nearly always, numpy's float32 exp is not.
        scores[touched] *= np.exp(exponent.astype(np.float64)).astype(scores.dtype)
        return
    touched = np.flatnonzero(overlap >= threshold)
    scores[touched] *= 1 - overlap[touched] if method == LINEAR else scores.dtype.type(0)


def _drop(table: np.ndarray, indices: np.ndarray, low: np.ndarray) -> int:
    """Fills the places of dropped boxes from the end, in place.

    Args:
        table: (6, N), one column a box.
        indices: (N,) which box it is.
        low: (N,) which columns to drop.

    Returns:
        How many columns are left.
    """
    left = len(low) - int(np.count_nonzero(low))
    holes = np.flatnonzero(low[:left])
    last = np.flatnonzero(~low[left:])[::-1] + left
    table[:, holes] = table[:, last]
    indices[holes] = indices[last]
    return left


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """``mmcv._ext.softnms``.

    Args:
        boxes: (N, 4) x1, y1, x2, y2 in image px, on the CPU.
        scores: (N,).
        dets: (N, 5), filled: the first rows get the boxes that are left, with their new scores.
        iou_threshold: From this overlap on the naive and the linear method act.
        sigma: Width of the Gaussian.
        min_score: Boxes whose score falls below are dropped.
        method: 0 naive (a score becomes 0), 1 linear (times 1 - overlap), 2 Gaussian.
        offset: 0 or 1; a box is x2 - x1 + offset wide.

    Returns:
        Indices of the boxes that are left, in the order of the rows of ``dets``.
    """
    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.long, device=boxes.device)
    array = as_array(boxes)
    number = array.dtype.type
    # mmcv takes these three as C floats.
    threshold, width, lowest = (number(np.float32(value)) for value in (iou_threshold, sigma, min_score))
    with np.errstate(all="ignore"):
        table = np.stack([*array.T, as_array(scores).astype(array.dtype), box_areas(array, offset)])
        indices, count, i = np.arange(len(array)), len(array), 0
        while i < count:
            swap = [i, i + _best(table[4, i:count])]
            table[:, swap] = table[:, swap[::-1]]
            indices[swap] = indices[swap[::-1]]
            rest = table[:, i + 1 : count]
            overlap = overlaps(table[:4, i], table[5, i], rest[:4], rest[5], offset)
            _lower(rest[4], overlap, threshold, width, method)
            low = rest[4] < lowest
            if low.any():
                count = i + 1 + _drop(rest, indices[i + 1 : count], low)
            i += 1
    dets[:count] = torch.from_numpy(np.ascontiguousarray(table[:5, :count].T))
    return torch.from_numpy(indices[:count].copy())
