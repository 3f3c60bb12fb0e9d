"""How far keypoints are off: per keypoint, in pixels and as PCK. numpy only.

COCO's AP says how good a model is as a whole; this says which point is bad, and by how much.
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose_tools.formats.boxes import iou_xywh

Results = Sequence[dict[str, Any]]
PCK_THRESHOLDS = (0.05, 0.1)
MIN_IOU = 0.5


@dataclass(frozen=True)
class KeypointScore:
    """Scores of one keypoint over a dataset.

    Attributes:
        name: Of the keypoint.
        labelled: Ground-truth points (v > 0) of it.
        found: Those whose instance was matched by a prediction.
        mean_px: Mean distance of the found ones, image px; NaN when there are none.
        median_px: Median of the same.
        pck: For each of :data:`PCK_THRESHOLDS`, the share of the LABELLED points that lie within
            threshold * max(bbox w, h); a point of an instance that was not found counts as missed.
    """

    name: str
    labelled: int
    found: int
    mean_px: float
    median_px: float
    pck: tuple[float, ...]


def match_instances(truth: Results, predicted: Results) -> list[tuple[int, int]]:
    """Pairs predictions with ground truth in one image, best score first, by box IoU >= 0.5.

    Args:
        truth: COCO annotations, with ``bbox`` xywh and ``category_id``.
        predicted: COCO results, with ``bbox``, ``category_id`` and ``score``.

    Returns:
        (index into truth, index into predicted) pairs; each index at most once.
    """
    if not truth or not predicted:
        return []
    overlap = iou_xywh(np.array([t["bbox"] for t in truth]), np.array([p["bbox"] for p in predicted]))
    same = np.array([[t["category_id"] == p["category_id"] for p in predicted] for t in truth])
    overlap = np.where(same, overlap, 0.0)
    pairs = []
    for j in sorted(range(len(predicted)), key=lambda j: -predicted[j]["score"]):
        i = int(overlap[:, j].argmax())
        if overlap[i, j] >= MIN_IOU:
            pairs.append((i, j))
            overlap[i, :] = 0.0
    return pairs


def keypoint_scores(annotations: Results, results: Results, names: Sequence[str]) -> list[KeypointScore]:
    """Scores every keypoint.

    Args:
        annotations: COCO annotations of a dataset; ``keypoints`` [x, y, v] * K in image px.
        results: COCO keypoint results with ``bbox`` xywh, on the same images.
        names: K keypoint names.

    Returns:
        K scores, in the order of ``names``.
    """
    truth, predicted = defaultdict(list), defaultdict(list)
    for annotation in annotations:
        if any(annotation.get("keypoints", ())[2::3]) and not annotation.get("iscrowd"):
            truth[annotation["image_id"]].append(annotation)
    for result in results:
        predicted[result["image_id"]].append(result)
    labelled = np.zeros(len(names), int)
    px: list[list[float]] = [[] for _ in names]
    normed: list[list[float]] = [[] for _ in names]
    for image_id, instances in truth.items():
        matched = dict(match_instances(instances, predicted[image_id]))
        for i, instance in enumerate(instances):
            points = np.array(instance["keypoints"], float).reshape(-1, 3)
            labelled += points[:, 2] > 0
            if i not in matched:
                continue
            guess = np.array(predicted[image_id][matched[i]]["keypoints"], float).reshape(-1, 3)
            distance = np.linalg.norm(points[:, :2] - guess[:, :2], axis=1)
            for k in np.flatnonzero(points[:, 2] > 0):
                px[k].append(distance[k])
                normed[k].append(distance[k] / max(instance["bbox"][2:]))
    return [
        KeypointScore(
            name, int(labelled[k]), len(px[k]),
            float(np.mean(px[k])) if px[k] else float("nan"),
            float(np.median(px[k])) if px[k] else float("nan"),
            tuple(float(np.sum(np.array(normed[k]) <= t) / max(1, labelled[k])) for t in PCK_THRESHOLDS))
        for k, name in enumerate(names)
    ]


def overall(scores: Sequence[KeypointScore]) -> KeypointScore:
    """The scores over all keypoints: means weighted by their counts; the median is the median of medians."""
    labelled, found = sum(s.labelled for s in scores), sum(s.found for s in scores)
    seen = [s for s in scores if s.found]
    return KeypointScore(
        "all", labelled, found,
        sum(s.mean_px * s.found for s in seen) / found if found else float("nan"),
        float(np.median([s.median_px for s in seen])) if seen else float("nan"),
        tuple(sum(s.pck[i] * s.labelled for s in scores) / max(1, labelled) for i in range(len(PCK_THRESHOLDS))))
