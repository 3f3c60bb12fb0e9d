"""Detector and keypoint model, one after the other, on an image.

Both may be checkpoints, ONNX files or OpenVINO's, mixed as well; see :mod:`pose_tools.inference.runtime`.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

import numpy as np

from pose_tools.console import UserError
from pose_tools.inference.runtime import Backend, DetectorModel, PoseModel, can_run, open_backend
from pose_tools.inference.runtime.torch_facts import UnknownLayout
from pose_tools.inference.upstream import UpstreamDetector, UpstreamPose


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


@dataclass(frozen=True)
class RunOptions:
    """How models are run.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        backend: What runs the files it can run; the others are run by what is theirs.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        threads: Of a run; None leaves it to the library.
        batch_size: Most crops in one run.
        flip_test: Whether keypoints are averaged with those of the mirrored crop, which takes twice the time. None does
            as the model's config does when it is tested, so that what is drawn is what was measured; a graph that
            decodes by itself goes without.
        meta: A ``meta.py`` that names classes and keypoints, for files that do not say what they are.
    """

    device: str = "auto"
    backend: str = "auto"
    precision: str = "auto"
    threads: Optional[int] = None
    batch_size: int = 32
    flip_test: Optional[bool] = None
    meta: Optional[Path] = None

    def open(self, path: Path) -> Backend:
        """Opens a model file; raises UserError as :func:`pose_tools.inference.runtime.open_backend` does."""
        backend = self.backend if can_run(self.backend, path) else "auto"
        return open_backend(path, backend, self.device, self.precision, self.threads, self.meta)

    def pose_model(self, path: Path) -> Union[PoseModel, UpstreamPose]:
        """Opens a keypoint model; one that the runtime does not know is run by mmpose.

        Raises:
            UserError: As :meth:`open`, or it is a detector.
        """
        try:
            backend = self.open(path)
        except UnknownLayout:
            return UpstreamPose(path, self.device, self.flip_test)
        facts = backend.facts
        flip_test = facts.flip_test and not facts.end_to_end if self.flip_test is None else self.flip_test
        return PoseModel(backend, flip_test, self.batch_size)

    def detector_model(self, path: Path, score_threshold: float) -> Union[DetectorModel, UpstreamDetector]:
        """Opens a detector; one that the runtime does not know is run by mmdet.

        Raises:
            UserError: As :meth:`open`, or it is a keypoint model.
        """
        try:
            return DetectorModel(self.open(path), score_threshold)
        except UnknownLayout:
            return UpstreamDetector(path, self.device, score_threshold)


class TopDown:
    """A detector and a keypoint model on one device.

    Args:
        det: Detector; ``None`` takes the whole image as one box.
        pose: Keypoint model.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; not looked at where ``options`` are given.
        box_threshold: Least score of a box.
        options: How both are run.

    Raises:
        UserError: A file is not what it should be, or the two do not share their classes.
    """

    def __init__(self, det: Union[Path, str, None], pose: Union[Path, str], device: str = "auto",
                 box_threshold: float = 0.3, options: Optional[RunOptions] = None) -> None:
        """Loads both models."""
        options = options or RunOptions(device=device)
        paths = [Path(path) for path in (pose, det) if path is not None]
        if options.backend != "auto" and not any(can_run(options.backend, path) for path in paths):
            raise UserError(f"--backend {options.backend}: runs neither of {', '.join(path.name for path in paths)}"
                            if det else f"--backend {options.backend}: does not run {paths[0].name}")
        self.estimator = options.pose_model(paths[0])
        self.keypoint_set = self.estimator.keypoint_set
        self.detector = options.detector_model(paths[1], box_threshold) if det is not None else None
        if self.detector is not None and self.detector.keypoint_set is not None \
                and self.detector.classes != self.keypoint_set.classes:
            raise UserError(f"{det} finds {', '.join(self.detector.classes)}, but {pose} is for "
                            f"{', '.join(self.keypoint_set.classes)}")

    def _detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self.detector is not None:
            return self.detector(image)
        height, width = image.shape[:2]
        return np.array([[0, 0, width, height]], np.float32), np.ones(1, np.float32), np.zeros(1, int)

    def __call__(self, image: np.ndarray) -> Instances:
        """Finds objects and their keypoints.

        Args:
            image: (H, W, 3) BGR uint8, as :func:`pose_tools.report.draw.imread` gives.
        """
        boxes, scores, labels = self._detect(image)
        return Instances(boxes, scores, labels, *self.estimator(image, boxes))
