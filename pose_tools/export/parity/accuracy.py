"""AP of a model's outputs, by the evaluators that ``tools/test.py`` uses.

Upstream's metrics are fed directly, so that the figures are those of ``tools/test.py`` with ground-truth boxes, but for
its flip test. mm* is imported inside functions.
"""
from __future__ import annotations

import contextlib
import io
import json
import logging
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_tools.export.parity.matching import Detections
from pose_tools.export.parity.pictures import Pictures
from pose_tools.inference.runtime.facts import ModelFacts


def keypoint_ap(pictures: Pictures, keypoints: Sequence[np.ndarray], scores: Sequence[np.ndarray],
                facts: ModelFacts) -> float:
    """AP by OKS (https://cocodataset.org/#keypoints-eval) in the labelled boxes, with the sigmas of the set.

    Args:
        pictures: With ``truth``.
        keypoints: (N, K, 2) for each picture, image px, one for each of its boxes.
        scores: (N, K) likewise, raw.
        facts: About the model, for crop sizes and sigmas.

    Returns:
        AP from 0 to 1; NaN where it is not defined.
    """
    from mmpose.evaluation.metrics import CocoMetric

    import pose_tools.openmmlab.plugins  # noqa: F401  makes mm* importable here
    from pose_tools.inference.runtime.geometry import boxes_to_crops, check_boxes

    assert facts.keypoint_set is not None
    samples = []
    for picture, points, values in zip(pictures, keypoints, scores):
        crops = boxes_to_crops(check_boxes(picture.boxes), facts.input_size, facts.bbox_padding, False)
        for row, annotation in enumerate(picture.annotations):
            samples.append({
                "id": annotation["id"], "img_id": annotation["image_id"], "category_id": annotation["category_id"],
                "pred_instances": {"keypoints": points[None, row], "keypoint_scores": values[None, row],
                                   "bboxes": picture.boxes[None, row]},
                "gt_instances": {"bbox_scores": np.ones(1, np.float32), "bbox_scales": crops.scales[None, row]}})
    with _truth_file(pictures) as (file, truth):
        metric = CocoMetric(ann_file=file)
        metric.dataset_meta = {
            "sigmas": np.array(facts.keypoint_set.sigmas, np.float32), "CLASSES": truth["categories"],
            "num_keypoints": len(facts.keypoint_set.keypoints)}
        metric.process({}, samples)
        return _value(metric.evaluate(len(samples)), "coco/AP")


def bbox_ap(pictures: Pictures, found: Sequence[Detections], facts: ModelFacts) -> float:
    """AP by the IoU of boxes (https://cocodataset.org/#detection-eval).

    Args:
        pictures: With ``truth``.
        found: Detections of each picture.
        facts: About the model, for the classes.

    Returns:
        AP from 0 to 1, of which upstream gives three digits; NaN where it is not defined.
    """
    import torch
    from mmdet.evaluation.metrics import CocoMetric

    import pose_tools.openmmlab.plugins  # noqa: F401  makes mm* importable here

    samples = []
    for picture, detections in zip(pictures, found):
        samples.append({"img_id": picture.image_id, "ori_shape": (1, 1), "pred_instances": {
            "bboxes": torch.from_numpy(np.asarray(detections.boxes, np.float32).reshape(-1, 4)),
            "scores": torch.from_numpy(np.asarray(detections.scores, np.float32)),
            "labels": torch.from_numpy(np.asarray(detections.labels, np.int64))}})
    if not any(len(detections.scores) for detections in found):
        return 0.0  # upstream gives no figure at all
    with _truth_file(pictures) as (file, _):
        metric = CocoMetric(ann_file=file, metric="bbox")
        metric.dataset_meta = {"classes": facts.classes}
        metric.process({}, samples)
        return _value(metric.evaluate(len(samples)), "coco/bbox_mAP")


@contextlib.contextmanager
def _truth_file(pictures: Pictures) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Writes the truth where upstream's metrics read it, and keeps what they print to themselves."""
    from mmengine.logging import MMLogger

    assert pictures.truth is not None
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            file = Path(folder) / "truth.json"
            file.write_text(json.dumps(pictures.truth), encoding="utf-8")
            yield str(file), pictures.truth
    finally:
        logger.setLevel(level)


def _value(metrics: Mapping[str, Any], key: str) -> float:
    value = float(metrics.get(key, math.nan))
    return value if value >= 0 else math.nan  # COCO's -1: nothing to measure by
