"""Pairing the detections of two models, one to one."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_tools.formats.boxes import iou_xyxy

MIN_IOU = 0.5


@dataclass(frozen=True)
class Detections:
    """What a detector found in one image.

    Attributes:
        boxes: (N, 4) xyxy, image px.
        scores: (N,).
        labels: (N,) class indices from 0.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def overlaps(self, other: Detections) -> np.ndarray:
        """IoU (N, M) with other detections; 0 between classes."""
        overlap = iou_xyxy(self.boxes, other.boxes)
        return np.where(self.labels[:, None] == other.labels[None], overlap, 0.0)


@dataclass(frozen=True)
class Matching:
    """How the detections of one image belong together.

    Attributes:
        pairs: (P, 2) indices of detections of the one and the other model, of which one at least is strong.
        missing: Indices of strong detections of the first model without a partner.
        added: Likewise of the second.
        tied_pairs: (P,) whether the two are different boxes of almost the same score, of which NMS keeps one; not
            where they are so near that it needs no excuse.
        tied_missing: (len(missing),) whether NMS let the other model keep one that overlaps, and no other reason shows.
        tied_added: Likewise for ``added``.
    """

    pairs: np.ndarray
    missing: np.ndarray
    added: np.ndarray
    tied_pairs: np.ndarray
    tied_missing: np.ndarray
    tied_added: np.ndarray


def match(first: Detections, second: Detections, strong: float, nms_threshold: float, equal: float,
          near: float) -> Matching:
    """Pairs detections of the same label, the largest IoU first, from :data:`MIN_IOU` on.

    Only a strong detection needs a partner, but its partner may be weak: no score lies at the edge for both models.

    NMS has ties as argmax has: of two boxes whose scores differ by rounding either can survive, and what the survivor
    then suppresses differs too; so can a box that overlaps a better one by the threshold but for rounding. Both leave
    the trace by which they are told from faults: the two models' boxes overlap by at least the threshold.

    Args:
        first: Of the reference.
        second: Of the other model.
        strong: Least score of a detection that matters.
        nms_threshold: IoU above which NMS drops the weaker box.
        equal: Scores that differ by less may have changed their order.
        near: Corners that are less far apart are of the same box, image px.
    """
    overlap = first.overlaps(second)
    pairs = _pair(overlap)
    kept = [(i, j) for i, j in pairs if max(first.scores[i], second.scores[j]) >= strong]
    missing = _alone(first.scores, [i for i, _ in pairs], strong)
    added = _alone(second.scores, [j for _, j in pairs], strong)
    return Matching(
        np.array(kept, np.int64).reshape(-1, 2), missing, added,
        np.array([overlap[i, j] >= nms_threshold - _ROUNDING and abs(first.scores[i] - second.scores[j]) <= equal
                  and np.abs(first.boxes[i] - second.boxes[j]).max() > near for i, j in kept], bool),
        _suppressed(missing, first, second, nms_threshold), _suppressed(added, second, first, nms_threshold))


def _pair(overlap: np.ndarray) -> list[tuple[int, int]]:
    """Index pairs, the largest overlap first; each index at most once."""
    if not overlap.size:
        return []
    rows, columns = np.nonzero(overlap >= MIN_IOU)
    order = np.argsort(-overlap[rows, columns], kind="stable")
    taken_rows: set[int] = set()
    taken_columns: set[int] = set()
    pairs = []
    for i, j in zip(rows[order].tolist(), columns[order].tolist()):
        if i not in taken_rows and j not in taken_columns:
            taken_rows.add(i)
            taken_columns.add(j)
            pairs.append((i, j))
    return pairs


def _alone(scores: np.ndarray, paired: list[int], strong: float) -> np.ndarray:
    alone = np.ones(len(scores), bool)
    alone[paired] = False
    return np.flatnonzero(alone & (scores >= strong))


_ROUNDING = 1e-3  # of an IoU: boxes of some px, corners off by hundredths


def _suppressed(indices: np.ndarray, own: Detections, other: Detections, nms_threshold: float) -> np.ndarray:
    """Whether boxes without a partner are such that NMS of the other model may have dropped them by a tie."""
    if not len(indices):
        return np.zeros(0, bool)
    mine = Detections(own.boxes[indices], own.scores[indices], own.labels[indices])
    better_there = mine.overlaps(other) * (other.scores[None] > mine.scores[:, None] - _ROUNDING)
    by_other = (better_there >= nms_threshold - _ROUNDING).any(axis=1) if len(other.scores) else \
        np.zeros(len(indices), bool)
    # A model that keeps two boxes which overlap by more than its threshold has another threshold.
    better_here = mine.overlaps(own) * (own.scores[None] > mine.scores[:, None])
    against_own = (better_here > nms_threshold + _ROUNDING).any(axis=1)
    return by_other & ~against_own
