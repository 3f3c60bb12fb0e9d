"""Checkpoints of other networks than RTMPose and RTMDet, run by mmpose's and mmdet's own inference.

Slower, and for ``.pth`` files only: what :mod:`pose_tools.inference.runtime` does not know how to prepare or decode.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.formats.schema import KeypointSet


def _load(path: Path, device: str, wanted: str) -> tuple[Any, Optional[KeypointSet]]:
    from pose_tools.inference.runtime.torch_backend import build_network
    from pose_tools.inference.runtime.torch_facts import read_checkpoint_config
    from pose_tools.openmmlab.config import keypoint_set_of
    from pose_tools.openmmlab.device import use_device

    cfg, kind = read_checkpoint_config(path)
    if kind != wanted:
        raise UserError(f"{path}: is a {kind} model, not a {wanted} model")
    return build_network(cfg, kind, path, use_device(device)), keypoint_set_of(cfg)


class UpstreamPose:
    """Any top-down model of mmpose; called as :class:`~pose_tools.inference.runtime.pose.PoseModel` is.

    Args:
        path: A checkpoint.
        device: As for :class:`~pose_tools.inference.runtime.torch_backend.TorchBackend`.
        flip_test: None does as the config says.

    Raises:
        UserError: It is no keypoint model, or does not name its keypoints.
    """

    def __init__(self, path: Path, device: str, flip_test: Optional[bool]) -> None:
        """Loads the checkpoint."""
        self._model, keypoint_set = _load(path, device, "pose")
        if keypoint_set is None:
            raise UserError(f"{path}: its config does not name its keypoints")
        self.keypoint_set = keypoint_set
        if flip_test is not None:
            self._model.test_cfg["flip_test"] = flip_test

    def __call__(self, image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Finds keypoints (N, K, 2) in image px, and raw scores (N, K), in boxes (N, 4) xyxy of a BGR picture."""
        from mmengine.registry import DefaultScope
        from mmpose.apis import inference_topdown

        if not len(boxes):  # upstream takes the whole picture then
            count = len(self.keypoint_set.keypoints)
            return np.zeros((0, count, 2), np.float32), np.zeros((0, count), np.float32)
        with DefaultScope.overwrite_default_scope("mmpose"):
            found = [each.pred_instances for each in inference_topdown(self._model, image, boxes)]
        return (np.concatenate([each.keypoints for each in found]),
                np.concatenate([each.keypoint_scores for each in found]))


class UpstreamDetector:
    """Any detector of mmdet; called as :class:`~pose_tools.inference.runtime.detector.DetectorModel` is.

    Args:
        path: A checkpoint.
        device: As for :class:`~pose_tools.inference.runtime.torch_backend.TorchBackend`.
        score_threshold: Least score of a box.

    Raises:
        UserError: It is no detector.
    """

    def __init__(self, path: Path, device: str, score_threshold: float) -> None:
        """Loads the checkpoint."""
        self._model, self.keypoint_set = _load(path, device, "detector")
        self._least = score_threshold
        self.classes = tuple(map(str, self._model.dataset_meta.get("classes") or ()))

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Finds boxes (N, 4) xyxy in image px, scores (N,) and labels (N,) in a BGR picture."""
        from mmdet.apis import inference_detector
        from mmengine.registry import DefaultScope

        with DefaultScope.overwrite_default_scope("mmdet"):
            found = inference_detector(self._model, image).pred_instances.cpu().numpy()
        keep = found.scores >= self._least
        return found.bboxes[keep], found.scores[keep], found.labels[keep]
