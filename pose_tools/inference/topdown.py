"""Detector and keypoint model, one after the other, on an image.

Both come as published files, which carry their config. torch is imported inside functions.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.formats.schema import KeypointSet

if TYPE_CHECKING:
    from mmengine import Config
    from torch import nn


@dataclass(frozen=True)
class Instances:
    """What was found in one image; all coordinates in image px.

    Attributes:
        boxes: (N, 4) xyxy.
        box_scores: (N,) in [0, 1].
        labels: (N,) 0-based class indices.
        keypoints: (N, K, 2).
        keypoint_scores: (N, K) SimCC maxima: raw scores, not probabilities; they can exceed 1.
    """

    boxes: np.ndarray
    box_scores: np.ndarray
    labels: np.ndarray
    keypoints: np.ndarray
    keypoint_scores: np.ndarray


def read_published(path: Path) -> tuple[Config, str]:
    """Reads the config a published file carries.

    Args:
        path: Written by ``tools/publish_model.py``, or a checkpoint of a run.

    Returns:
        The config, and what it is: ``"detector"`` or ``"pose"``.

    Raises:
        UserError: The file is missing, unsafe, or carries no config.
    """
    from pose_tools.openmmlab.config import embedded_config, kind_of

    cfg = embedded_config(path)
    if cfg is None:
        raise UserError(f"{path}: carries no config; publish it with tools/publish_model.py")
    if not cfg.get("test_dataloader"):
        raise UserError(f"{path}: the config in it does not say how pictures are prepared (test_dataloader); "
                        "publish it again with --config FILE")
    kind = kind_of(cfg)
    cfg.model.pop("init_cfg", None)
    return cfg, kind


class TopDown:
    """A detector and a keypoint model on one device.

    Args:
        det: Published detector; ``None`` takes the whole image as one box.
        pose: Published keypoint model.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        box_threshold: Least score of a box.

    Raises:
        UserError: A file is not what it should be, or the two do not share their classes.
    """

    def __init__(self, det: Optional[Path], pose: Path, device: str = "auto", box_threshold: float = 0.3) -> None:
        """Loads both models."""
        from pose_tools.openmmlab.config import keypoint_set_of
        from pose_tools.openmmlab.device import use_device

        self.device, self.box_threshold = use_device(device), box_threshold
        pose_cfg = self._read(pose, "pose")
        found = keypoint_set_of(pose_cfg)
        if found is None:
            raise UserError(f"{pose}: its config does not name its keypoints")
        self.keypoint_set: KeypointSet = found
        self.detector = None
        if det is not None:
            det_cfg = self._read(det, "detector")
            det_set = keypoint_set_of(det_cfg)
            if det_set is not None and det_set.classes != self.keypoint_set.classes:
                raise UserError(f"{det} finds {', '.join(det_set.classes)}, but {pose} is for "
                                f"{', '.join(self.keypoint_set.classes)}")
            self.detector = self._build_detector(det_cfg, det)
        self.estimator = self._build_estimator(pose_cfg, pose)

    @staticmethod
    def _read(path: Path, wanted: str) -> Config:
        cfg, kind = read_published(path)
        if kind != wanted:
            raise UserError(f"{path}: is a {kind} model, not a {wanted} model")
        return cfg

    def _build_detector(self, cfg: Config, path: Path) -> nn.Module:
        from mmdet.apis import init_detector

        return init_detector(cfg, str(path), device=self.device)

    def _build_estimator(self, cfg: Config, path: Path) -> nn.Module:
        from mmpose.apis import init_model

        return init_model(cfg, str(path), device=self.device)

    def _detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self.detector is None:
            height, width = image.shape[:2]
            return np.array([[0, 0, width, height]], np.float32), np.ones(1, np.float32), np.zeros(1, int)
        from mmdet.apis import inference_detector
        from mmengine.registry import DefaultScope

        with DefaultScope.overwrite_default_scope("mmdet"):
            found = inference_detector(self.detector, image).pred_instances.cpu().numpy()
        keep = found.scores >= self.box_threshold
        return found.bboxes[keep], found.scores[keep], found.labels[keep]

    def __call__(self, image: np.ndarray) -> Instances:
        """Finds objects and their keypoints.

        Args:
            image: (H, W, 3) BGR uint8, as :func:`pose_tools.report.draw.imread` gives.
        """
        from mmengine.registry import DefaultScope
        from mmpose.apis import inference_topdown

        boxes, scores, labels = self._detect(image)
        count = len(self.keypoint_set.keypoints)
        if not len(boxes):
            return Instances(boxes.reshape(0, 4), scores, labels, np.zeros((0, count, 2)), np.zeros((0, count)))
        with DefaultScope.overwrite_default_scope("mmpose"):
            samples: list[Any] = inference_topdown(self.estimator, image, boxes, bbox_format="xyxy")
        return Instances(
            boxes, scores, labels,
            np.concatenate([s.pred_instances.keypoints for s in samples]),
            np.concatenate([s.pred_instances.keypoint_scores for s in samples]))
