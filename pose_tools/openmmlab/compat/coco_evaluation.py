"""COCO's evaluation, fast.

Stands in for ``mmdet/evaluation/metrics/coco_metric.py:14`` and ``mmpose/evaluation/metrics/coco_metric.py:13``,
which take the pure Python ``COCOeval`` of pycocotools and xtcocotools. The classes that take their place derive from
these and give the same numbers; see :mod:`pose_tools.openmmlab.evaluation`.
"""
from __future__ import annotations

from types import ModuleType

from pose_tools.openmmlab.compat.import_hook import on_import


def _boxes(module: ModuleType) -> None:
    from pycocotools.cocoeval import COCOeval

    from pose_tools.openmmlab.evaluation import fast_box_evaluation

    if module.COCOeval is COCOeval:  # another one is somebody's choice
        module.COCOeval = fast_box_evaluation(COCOeval)  # type: ignore[attr-defined]


def _keypoints(module: ModuleType) -> None:
    from xtcocotools.cocoeval import COCOeval

    from pose_tools.openmmlab.evaluation import fast_keypoint_evaluation

    if module.COCOeval is COCOeval:
        module.COCOeval = fast_keypoint_evaluation(COCOeval)  # type: ignore[attr-defined]


def install() -> None:
    """Prepares for the two metrics."""
    on_import("mmdet.evaluation.metrics.coco_metric", after=_boxes)
    on_import("mmpose.evaluation.metrics.coco_metric", after=_keypoints)
