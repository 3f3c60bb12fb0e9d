"""Detector and keypoint model, one after the other, on pictures.

Both may be checkpoints, ONNX files or OpenVINO's, mixed as well; see :mod:`pose_tools.inference.runtime`.
"""
from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from pose_tools.console import UserError
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.heatmaps import Response
from pose_tools.inference.runtime import Backend, DetectorModel, PoseModel, can_run, open_backend
from pose_tools.inference.runtime.detector import suppress
from pose_tools.inference.runtime.torch_facts import UnknownLayout
from pose_tools.inference.source import ModelSource, find_model
from pose_tools.inference.upstream import UpstreamDetector, UpstreamPose

Found = tuple[np.ndarray, np.ndarray, np.ndarray]  # boxes (N, 4) xyxy image px, scores (N,), labels (N,)


@dataclass(frozen=True)
class Instances:
    """What was found in one image; all coordinates in image px.

    Attributes:
        boxes: (N, 4) xyxy.
        box_scores: (N,) in [0, 1].
        labels: (N,) 0-based class indices.
        keypoints: (N, K, 2).
        keypoint_scores: (N, K) SimCC maxima: raw scores, not probabilities; they can exceed 1.
        response: What heat maps are drawn from; None where nobody asked.
    """

    boxes: np.ndarray
    box_scores: np.ndarray
    labels: np.ndarray
    keypoints: np.ndarray
    keypoint_scores: np.ndarray
    response: Optional[Response] = None

    def joined(self, more: Instances) -> Instances:
        """These, and after them those of another look at the same picture by the same model."""
        both = [np.concatenate([getattr(self, name), getattr(more, name)])
                for name in ("boxes", "box_scores", "labels", "keypoints", "keypoint_scores")]
        mine, other = self.response, more.response
        return Instances(*both, mine.joined(other) if mine is not None and other is not None else None)


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
        streams: Runs that go on at once, each from a thread of its own, which then sets PyTorch's ``threads`` itself:
            they are kept for each thread.
        nms_threshold: Of boxes that overlap more (IoU), of whatever class, the best is kept; None leaves it to the
            model.
    """

    device: str = "auto"
    backend: str = "auto"
    precision: str = "auto"
    threads: Optional[int] = None
    batch_size: int = 32
    flip_test: Optional[bool] = None
    meta: Optional[Path] = None
    streams: int = 1
    nms_threshold: Optional[float] = None

    def open(self, source: Union[ModelSource, Path]) -> Backend:
        """Opens a model; raises UserError as :func:`pose_tools.inference.runtime.open_backend` does."""
        source = source if isinstance(source, ModelSource) else ModelSource(source)
        path = source.path
        if source.config is not None:
            from pose_tools.inference.runtime.torch_backend import TorchBackend

            threads = None if self.streams > 1 else self.threads
            return TorchBackend(path, self.device, self.precision, threads, None, source.config, source.seed)
        backend = self.backend if can_run(self.backend, path) else "auto"
        return open_backend(path, backend, self.device, self.precision, self.threads, self.meta, self.streams)

    def pose_model(self, source: Union[ModelSource, Path]) -> Union[PoseModel, UpstreamPose]:
        """Opens a keypoint model; one that the runtime does not know is run by mmpose.

        Args:
            source: Its file, or what :func:`pose_tools.inference.source.find_model` found.

        Raises:
            UserError: As :meth:`open`, or it is a detector.
        """
        try:
            backend = self.open(source)
        except UnknownLayout:
            return UpstreamPose(source, self.device, self.flip_test, self.batch_size, self.precision)
        return self.pose_of(backend)

    def pose_of(self, backend: Backend) -> PoseModel:
        """Makes a keypoint model on an open file; several may share it, one for each thread."""
        facts = backend.facts
        flip_test = facts.flip_test and not facts.end_to_end if self.flip_test is None else self.flip_test
        return PoseModel(backend, flip_test, self.batch_size)

    def detector_model(self, source: Union[ModelSource, Path],
                       score_threshold: float) -> Union[DetectorModel, UpstreamDetector]:
        """Opens a detector; one that the runtime does not know is run by mmdet.

        Args:
            source: Its file, or what :func:`pose_tools.inference.source.find_model` found.
            score_threshold: Least score of a box.

        Raises:
            UserError: As :meth:`open`, or it is a keypoint model.
        """
        try:
            return self.detector_of(self.open(source), score_threshold)
        except UnknownLayout:
            return UpstreamDetector(source, self.device, score_threshold, self.precision)

    def detector_of(self, backend: Backend, score_threshold: float) -> DetectorModel:
        """Makes a detector on an open file; several may share it, one for each thread."""
        return DetectorModel(backend, score_threshold)


class TopDown:
    """A detector and a keypoint model on one device. Not for several threads at once; :meth:`twin` makes one for each.

    Args:
        det: Detector, as :func:`pose_tools.inference.source.find_model` takes it; ``None`` takes the whole image as
            one box.
        pose: Keypoint model, likewise.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; not looked at where ``options`` are given.
        box_threshold: Least score of a box.
        options: How both are run.
        det_cat_ids: Classes of the detector, by name or 0-based number, whose boxes are taken; None takes the classes
            of the keypoint model, by name.
        configs: Of detector and keypoint model, where their files carry none.
        random_init: Take random weights where those of a name are not on this machine.

    Attributes:
        warnings: Lines the user must see: that weights are random.

    Raises:
        UserError: A file is not what it should be, or the two do not fit.
    """

    def __init__(self, det: Union[Path, str, None], pose: Union[Path, str], device: str = "auto",
                 box_threshold: float = 0.3, options: Optional[RunOptions] = None,
                 det_cat_ids: Optional[Sequence[Union[int, str]]] = None,
                 configs: tuple[Optional[Path], Optional[Path]] = (None, None), random_init: bool = False) -> None:
        """Loads both models."""
        self._options = options = options or RunOptions(device=device)
        self._box_threshold = box_threshold
        sources = [find_model(what, config, random_init) for what, config in ((pose, configs[1]), (det, configs[0]))
                   if what is not None]
        self.warnings = [source.warning for source in sources if source.warning]
        paths = [source.path for source in sources]
        if options.backend != "auto" and not any(can_run(options.backend, path) for path in paths):
            raise UserError(f"--backend {options.backend}: runs neither of {', '.join(path.name for path in paths)}"
                            if det else f"--backend {options.backend}: does not run {paths[0].name}")
        self.estimator = options.pose_model(sources[0])
        self.keypoint_set: KeypointSet = self.estimator.keypoint_set
        self.detector = None if det is None else options.detector_model(sources[1], box_threshold)
        self._labels = None if self.detector is None else \
            labels_to_classes(self.detector, self.keypoint_set, det_cat_ids, str(det), str(pose))
        self._lock = threading.Lock()

    def twin(self) -> TopDown:
        """The same models for another thread. Those of upstream are shared and run by one thread at a time."""
        twin = object.__new__(TopDown)
        twin.__dict__.update(self.__dict__)
        if isinstance(self.estimator, PoseModel):
            twin.estimator = self._options.pose_of(self.estimator.backend)
        if isinstance(self.detector, DetectorModel):
            twin.detector = self._options.detector_of(self.detector.backend, self._box_threshold)
        return twin

    def detect(self, images: Sequence[np.ndarray]) -> list[Found]:
        """Finds boxes in pictures.

        Args:
            images: Each (H, W, 3) BGR uint8.

        Returns:
            For each picture boxes (N, 4) xyxy, image px, scores (N,) and labels (N,) of the keypoint model's classes.
        """
        if self.detector is None:
            return [(np.array([[0, 0, *image.shape[1::-1]]], np.float32), np.ones(1, np.float32), np.zeros(1, int))
                    for image in images]
        if isinstance(self.detector, DetectorModel):
            found = self.detector.many(images)
        else:
            with self._lock:
                found = [self.detector(image) for image in images]
        return [self._chosen(*each) for each in found]

    def _chosen(self, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> Found:
        if self._labels is not None:
            labels = self._labels[labels]
            keep = labels >= 0
            boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
        if self._options.nms_threshold is not None:
            best = suppress(boxes, scores, self._options.nms_threshold)
            boxes, scores, labels = boxes[best], scores[best], labels[best]
        return boxes, scores, labels

    def estimate(self, images: Sequence[np.ndarray], found: Sequence[Found], respond: bool = False) -> list[Instances]:
        """Finds keypoints in boxes, those of all pictures in common batches.

        Args:
            images: Each (H, W, 3) BGR uint8.
            found: For each picture boxes, scores and labels.
            respond: Keep what heat maps are drawn from.
        """
        responses: Optional[list[Response]] = [] if respond else None
        boxes = [each[0] for each in found]
        if isinstance(self.estimator, PoseModel):
            points = self.estimator.many(images, boxes, responses)
        else:
            with self._lock:
                points = self.estimator.many(images, boxes, responses)
        return [Instances(*each, *where, None if responses is None else responses[number])
                for number, (each, where) in enumerate(zip(found, points))]

    def __call__(self, image: np.ndarray) -> Instances:
        """Finds objects and their keypoints.

        Args:
            image: (H, W, 3) BGR uint8, as :func:`pose_tools.report.draw.imread` gives.
        """
        return self.estimate([image], self.detect([image]))[0]


def labels_to_classes(detector: Any, keypoint_set: KeypointSet, det_cat_ids: Optional[Sequence[Union[int, str]]],
                      det: str, pose: str) -> Optional[np.ndarray]:
    """What the labels of a detector mean to a keypoint model.

    Args:
        detector: Has ``classes``, and ``keypoint_set`` or None.
        keypoint_set: Of the keypoint model.
        det_cat_ids: Classes to take, by name or 0-based number; None takes those of the keypoint model, by name.
        det: Names the detector in the errors.
        pose: Names the keypoint model.

    Returns:
        For each label of the detector that of the keypoint model, -1 for what is left out; None where they are the
        same.

    Raises:
        UserError: The two do not fit, or there is no such class.
    """
    classes, wanted = tuple(detector.classes), keypoint_set.classes
    if det_cat_ids is not None:
        picks = [_label_of(each, classes, det) for each in det_cat_ids]
        if not picks:
            raise UserError("--det-cat-ids: names no class")
        if len(wanted) not in (1, len(picks)):
            raise UserError(f"--det-cat-ids: names {len(picks)} classes, and {pose} is for {len(wanted)}: "
                            f"{', '.join(wanted)}; name as many, in their order")
        table = np.full(len(classes), -1)
        table[picks] = np.zeros(len(picks), int) if len(wanted) == 1 else np.arange(len(picks))
        return table
    advice = "--det-cat-ids says which of its classes to take"
    missing = [name for name in wanted if name not in classes]
    if missing:
        shown = ", ".join(classes[:8]) + (f" and {len(classes) - 8} more" if len(classes) > 8 else "")
        raise UserError(f"{det} finds {shown}, but {pose} is for {', '.join(wanted)}; {advice}")
    own = detector.keypoint_set
    if own is not None and set(own.keypoints) != set(keypoint_set.keypoints):
        raise UserError(f"{det} was trained for objects with the keypoints {', '.join(own.keypoints)}, but {pose} "
                        f"finds {', '.join(keypoint_set.keypoints)}; where its objects are those anyhow, {advice}")
    return None if classes == wanted else \
        np.array([wanted.index(name) if name in wanted else -1 for name in classes])


def _label_of(which: Union[int, str], classes: Sequence[str], det: str) -> int:
    if which in classes:
        return classes.index(str(which))
    text = str(which)
    if text.isdecimal() and int(text) < len(classes):
        return int(text)
    shown = ", ".join(f"{number} {name}" for number, name in enumerate(classes[:90]))
    raise UserError(f"--det-cat-ids {which}: {det} has no such class; it has: {shown}")
