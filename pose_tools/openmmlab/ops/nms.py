"""Non-maximum suppression as ``mmcv/ops/csrc/pytorch/cpu/nms.cpp`` does it.

Boxes are (x1, y1, x2, y2) in image px. Greedy: the best box is kept, every box that overlaps it by more than
the threshold goes, and so on. Two things decide which box survives and are done exactly as compiled: the
order of equal scores (mmcv leaves it to ``Tensor.sort``, so that is called in the same way) and the
arithmetic of the overlap, in the type of the boxes and with the same roundings.

What is faster than a matrix of all pairs: a box can only overlap boxes that meet it along x. With the boxes
sorted by x1 those lie in one window, found by bisection, and the classes that ``batched_nms`` moves apart
never meet. Memory is linear in the number of boxes.
"""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pose_tools.openmmlab.ops.backend import torchvision_works

# A pass looks at this many boxes at least before the suppressed ones are cleared away.
_SHORTEST_PASS = 256


def as_array(values: Tensor) -> np.ndarray:
    """A tensor as a numpy array on the CPU, in float32 unless it is float64.

    Args:
        values: Any floating type, any device.

    Returns:
        An array of the same shape; shares memory where it can.
    """
    values = values.detach()
    return values.to("cpu", torch.float64 if values.dtype == torch.float64 else torch.float32).numpy()


def box_areas(boxes: np.ndarray, offset: int) -> np.ndarray:
    """Areas of boxes (N, 4) whose width is x2 - x1 + offset; not clamped, as compiled."""
    x1, y1, x2, y2 = boxes.T
    return (x2 - x1 + offset) * (y2 - y1 + offset)


def overlaps(
    box: np.ndarray, area: np.floating, others: np.ndarray, areas: np.ndarray, offset: int
) -> np.ndarray:
    """Intersection over union of one box with others, NaN where the union is empty.

    Args:
        box: (4,) x1, y1, x2, y2.
        area: Its area, from :func:`box_areas`.
        others: (4, N), one row for each coordinate.
        areas: (N,) their areas.
        offset: 0 or 1; a box is x2 - x1 + offset wide.

    Returns:
        (N,) overlaps, computed in the type of the arguments.
    """
    width = np.minimum(others[2], box[2])
    width -= np.maximum(others[0], box[0])
    height = np.minimum(others[3], box[3])
    height -= np.maximum(others[1], box[1])
    if offset:
        width += offset
        height += offset
    # fmax, as std::max(0, NaN) is 0.
    shared = np.fmax(width, 0, out=width)
    shared *= np.fmax(height, 0, out=height)
    union = area + areas
    union -= shared
    shared /= union
    return shared


def _windows(
    lefts: np.ndarray, rights: np.ndarray, boxes: np.ndarray, offset: int
) -> tuple[list[int], list[int]]:
    """Where, among boxes sorted by x1, those lie that may meet each given box along x.

    Args:
        lefts: (N,) x1 of all boxes, ascending, NaN last.
        rights: (N,) x2 of the same boxes.
        boxes: (M, 4) boxes to find windows for.
        offset: 0 or 1.

    Returns:
        First index and one past the last index, for each of the M boxes. Outside of the window the
        intersection is exactly 0.
    """
    # With offset 1 boxes meet across a gap of less than 1; float64 and a gap of 2 leave room for roundings.
    gap = 2.0 * offset
    furthest = np.maximum.accumulate(np.where(np.isnan(rights), -np.inf, rights).astype(np.float64))
    first = np.searchsorted(furthest, boxes[:, 0].astype(np.float64) - gap, side="right")
    last = np.searchsorted(lefts.astype(np.float64), boxes[:, 2].astype(np.float64) + gap, side="left")
    return first.tolist(), last.tolist()


def _suppress_pass(
    boxes: np.ndarray, threshold: np.floating, offset: int, count: int
) -> tuple[list[int], np.ndarray]:
    """Visits the best ``count`` boxes.

    Args:
        boxes: (N, 4), best first.
        threshold: Boxes that overlap a kept one by more go.
        offset: 0 or 1.
        count: How many to visit, at most N.

    Returns:
        Which of the visited are kept, and a mask (N - count,) of the others that are still there.
    """
    by_x = np.argsort(boxes[:, 0], kind="stable")
    place = np.empty_like(by_x)
    place[by_x] = np.arange(len(by_x))
    rows = np.ascontiguousarray(boxes[by_x].T)
    areas = box_areas(rows.T, offset)
    if threshold >= 0:
        firsts, lasts = _windows(rows[0], rows[2], boxes[:count], offset)
    else:  # even boxes that do not meet suppress each other
        firsts, lasts = [0] * count, [len(boxes)] * count
    gone = np.zeros(len(boxes), bool)
    kept = []
    for i, (own, first, last) in enumerate(zip(place[:count].tolist(), firsts, lasts)):
        if gone[own]:
            continue
        kept.append(i)
        if last > first:
            overlap = overlaps(boxes[i], areas[own], rows[:, first:last], areas[first:last], offset)
            # Marks the box itself and some that were kept before; both have had their visit.
            gone[first:last] |= overlap > threshold
    return kept, ~gone[place[count:]]


def greedy_nms(boxes: np.ndarray, iou_threshold: float, offset: int) -> np.ndarray:
    """Greedy suppression of boxes that are sorted by score.

    Args:
        boxes: (N, 4), best first, float32 or float64.
        iou_threshold: Boxes that overlap a kept one by more than this go.
        offset: 0 or 1; a box is x2 - x1 + offset wide.

    Returns:
        Indices of the kept boxes, ascending.
    """
    # mmcv takes the threshold as a C float.
    threshold = boxes.dtype.type(np.float32(iou_threshold))
    kept, left = [np.empty(0, np.int64)], np.arange(len(boxes))
    with np.errstate(all="ignore"):
        while len(left):
            count = min(len(left), max(_SHORTEST_PASS, len(left) // 4))
            chosen, rest = _suppress_pass(boxes[left], threshold, offset, count)
            kept.append(left[:count][chosen])
            left = left[count:][rest]
    return np.concatenate(kept)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """``mmcv._ext.nms``.

    Works on the device of the boxes with torchvision, else on the CPU: from a GPU the boxes are fetched once,
    which takes less than suppressing them there without a kernel.

    Args:
        boxes: (N, 4) x1, y1, x2, y2.
        scores: (N,).
        iou_threshold: Boxes that overlap a kept one by more than this go.
        offset: 0 or 1; a box is x2 - x1 + offset wide.

    Returns:
        Indices of the kept boxes, best first, int64, on the device of the boxes.
    """
    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.long, device=boxes.device)
    boxes, order = boxes.detach(), scores.detach().sort(0, True)[1]
    if offset == 0 and torchvision_works():
        exact = boxes if boxes.dtype == torch.float64 else boxes.float()
        # Falling numbers for scores keep the order of equal scores; the threshold is a C float in mmcv.
        falling = torch.arange(len(order), 0, -1, device=exact.device, dtype=exact.dtype)
        kept = torch.ops.torchvision.nms(exact[order], falling, float(np.float32(iou_threshold)))
        return order[kept]
    kept = torch.from_numpy(greedy_nms(as_array(boxes[order]), iou_threshold, offset))
    return order[kept.to(order.device)]


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """``mmcv._ext.nms_match``: suppression that tells which box was suppressed by which.

    Args:
        dets: (N, 5) x1, y1, x2, y2, score.
        iou_threshold: Boxes that overlap a kept one by this or more go.

    Returns:
        One list for each kept box, best first: its index, then those it suppressed, best first.
    """
    order = dets[:, 4].detach().contiguous().sort(0, True)[1].cpu().numpy()
    boxes = as_array(dets[:, :4])[order]
    threshold = boxes.dtype.type(np.float32(iou_threshold))
    rows, groups = np.ascontiguousarray(boxes.T), []
    with np.errstate(all="ignore"):
        areas = box_areas(boxes, 0)
        while len(order):
            matched = overlaps(rows[:, 0], areas[0], rows[:, 1:], areas[1:], 0) >= threshold
            groups.append([int(order[0]), *order[1:][matched].tolist()])
            order, areas, rows = order[1:][~matched], areas[1:][~matched], rows[:, 1:][:, ~matched]
    return groups
