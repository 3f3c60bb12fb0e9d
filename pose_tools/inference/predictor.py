"""Detector and keypoint model on pictures, folders, videos and cameras."""
from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.given_boxes import GivenBoxes
from pose_tools.inference.heatmaps import find_keypoint
from pose_tools.inference.media import Source, open_sources
from pose_tools.inference.pipeline.finding import Boxes, Finder, Sighting, share_out
from pose_tools.inference.pipeline.following import Finish, Follower, Placer
from pose_tools.inference.pipeline.running import Run, Schedule
from pose_tools.inference.pipeline.times import StageTimes
from pose_tools.inference.result import Result
from pose_tools.inference.topdown import RunOptions, TopDown

GPU_CHUNK, GPU_WORKERS = 8, 2
SCORES = ("auto", "raw", "probability")
PathLike = Union[str, Path]
Input = Union[PathLike, np.ndarray]


class PosePredictor:
    """Finds objects and their keypoints.

        predictor = PosePredictor(det="rtmdet-tiny-carpose.onnx", pose="rtmpose-s-carpose.onnx")
        for result in predictor("street.mp4"):
            result.boxes, result.keypoints, result.scores, result.track_ids
            result.draw(), result.to_coco(), result.to_labelme()

    Reading, networks and what comes after them run in threads, so that several frames are on their way at once; results
    come in the order of the frames.

    Args:
        det: Detector: a file, an address, or a name; None takes each whole picture as one box.
        pose: Keypoint model, likewise.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N``.
        backend: ``auto``, ``torch``, ``onnxruntime`` or ``openvino``, for the files that it can run.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        threads: Most CPU threads that networks take together; None takes all cores.
        batch_size: Most crops in one run.
        flip_test: Average with the mirrored crop, in twice the time; None does as the model was tested.
        bbox_thr: Least score of a box.
        nms_thr: Of boxes that overlap more (IoU), of whatever class, only the best is kept; None leaves it to the
            detector.
        kpt_thr: Score from which a keypoint is trusted by smoothing and vehicle pose, and is drawn.
        det_cat_ids: Classes of the detector, by name or 0-based number; None takes those of the keypoint model.
        det_interval: The detector runs on every so manieth frame of what is tracked; between, objects are followed by
            their keypoints.
        track: Whether objects get ids; None tracks videos and cameras, but not pictures.
        smooth: Whether keypoints of tracked objects are smoothed.
        scores: ``raw``; ``probability``, which needs a calibrated model; ``auto`` takes the latter where it can.
        pnp: Whether to find headings and positions, which needs ``model_points`` in the keypoint set.
        camera: A file that describes it, for ``pnp``; None assumes a focal length.
        heatmap: Whether results get a heat map: True for all keypoints, or the name or number of one.
        meta: A ``meta.py`` that names classes and keypoints, for graphs that do not.
        random_init: Take random weights where a model's cannot be had.
        det_config: Of a checkpoint that carries none.
        pose_config: Likewise.

    Attributes:
        keypoint_set: Of the keypoint model.
        classes: Names of the labels.
        score_kind: ``raw`` or ``probability``.
        warnings: Lines the user must see: that weights are random, or scores not calibrated for this kind of run.
        faults: What could not be read or predicted in the last run.
        times: How long the stages of the last run worked.

    Raises:
        UserError: A model cannot be had or is not what it should be, the two do not fit, or options contradict each
            other.
    """

    def __init__(self, det: Optional[PathLike] = None, pose: PathLike = "", *, device: str = "auto",
                 backend: str = "auto", precision: str = "auto", threads: Optional[int] = None, batch_size: int = 32,
                 flip_test: Optional[bool] = None, bbox_thr: float = 0.3, nms_thr: Optional[float] = None,
                 kpt_thr: float = 0.3, det_cat_ids: Optional[Sequence[Union[int, str]]] = None, det_interval: int = 1,
                 track: Optional[bool] = None, smooth: bool = False, scores: str = "auto", pnp: bool = False,
                 camera: Optional[PathLike] = None, heatmap: Union[bool, int, str] = False,
                 meta: Optional[PathLike] = None, random_init: bool = False, det_config: Optional[PathLike] = None,
                 pose_config: Optional[PathLike] = None) -> None:
        """Loads the models."""
        _check(pose, threads, det_interval, track, smooth, scores, camera, pnp)
        self._workers, each = share_out(threads)
        self._options = RunOptions(device, backend, precision, each, batch_size, flip_test, meta and Path(meta),
                                   self._workers, nms_thr)
        self._bbox_thr, self._threads, self._all_threads = bbox_thr, each, threads
        self._open = partial(TopDown, det, pose, "", bbox_thr, det_cat_ids=det_cat_ids,
                             configs=(det_config, pose_config), random_init=random_init)
        self._model = self._open(options=self._options)
        self._alone: Optional[TopDown] = None
        self.keypoint_set = self._model.keypoint_set
        self.classes, self.warnings = self.keypoint_set.classes, list(self._model.warnings)
        calibrate = _calibration(self._model, scores, str(pose))
        self.score_kind = "raw" if calibrate is None else "probability"
        self.warnings += _flip_test_note(calibrate, self._model)
        keypoint = None if isinstance(heatmap, bool) else find_keypoint(heatmap, self.keypoint_set)
        self._finish = Finish(self.keypoint_set, track, smooth, bbox_thr, kpt_thr, calibrate,
                              _placer(self.keypoint_set, camera, kpt_thr, meta) if pnp else None,
                              heatmap is not False, keypoint)
        self._det_interval = det_interval
        self.faults: list[Fault] = []
        self.times = StageTimes()

    def __call__(self, inputs: Union[Input, Sequence[Input]], boxes: Any = None) -> Iterator[Result]:
        """Predicts; gives a result a picture or frame, in their order.

        Args:
            inputs: A picture file, video, folder, glob, ``webcam:0`` or address; a picture (H, W, 3) BGR uint8; or a
                list of such.
            boxes: Instead of the detector's: a file (COCO annotations, COCO results, predictions.json); an array
                (N, 4) xyxy in image px for one picture; or a list of arrays, one for each picture or frame.

        Raises:
            UserError: An input does not exist; the boxes do not fit; or nothing at all could be read. What cannot be
                read among others is left out: a warning says so at the end, and ``faults`` what it was.
        """
        return self._results(self.run(open_sources(list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]),
                                      boxes))

    @staticmethod
    def _results(run: Run) -> Iterator[Result]:
        yield from run
        if run.faults and not run.times.frames:
            raise FaultsError(run.faults)
        if run.faults:
            warnings.warn("left out: " + "; ".join(map(str, run.faults)), stacklevel=2)

    def one(self, image: Input, boxes: Any = None) -> Result:
        """Predicts one picture, all threads working on it together: sooner done than a run of one picture.

        Graphs are opened once more for it at the first call.

        Args:
            image: A file, or (H, W, 3) BGR uint8.
            boxes: As for a call.

        Raises:
            UserError: It is no picture, cannot be read, or the boxes do not fit.
        """
        sources = open_sources([image])
        if len(sources) != 1 or sources[0].kind not in ("image", "array"):
            raise UserError(f"{image}: is not one picture")
        if self._alone is None:
            self._alone = self._open_alone()
        self.times = StageTimes()
        finder = Finder(self._alone, self.times, self._given(boxes), self._finish.heatmap)
        with self.times.stage("read"):
            frame, = sources[0]
        sighting, = finder.find([Sighting(frame, 0)])
        self.faults = [] if sighting.fault is None else [sighting.fault]
        if sighting.fault is not None:
            raise FaultsError(self.faults)
        with self.times.stage("follow"):
            result = Follower(self._finish).result(sighting)
        self.times.frames, self.times.instances = 1, len(result)
        self.times.end()
        return result

    def _open_alone(self) -> TopDown:
        """The models for a caller without workers. Only graphs are bound to the threads they were opened with."""
        models = (self._model.estimator, self._model.detector)
        graphs = [model for model in models if getattr(getattr(model, "backend", None), "name", "torch") != "torch"]
        if not graphs or self._workers == 1:
            return self._model.twin()
        return self._open(options=replace(self._options, threads=self._all_threads, streams=1))

    def run(self, sources: Sequence[Source], boxes: Any = None) -> Run:
        """Prepares a run over opened sources, whose faults are collected and not raised.

        Args:
            sources: From :func:`pose_tools.inference.media.open_sources`.
            boxes: As for a call, or read already.

        Raises:
            UserError: The boxes do not fit.
        """
        given = self._given(boxes)
        live = any(source.kind == "camera" for source in sources)
        on_gpu = "cuda" in str(getattr(getattr(self._model.estimator, "backend", None), "device", ""))
        workers = min(self._workers, GPU_WORKERS) if on_gpu or live else self._workers
        tracked = any(map(self._finish.tracks, sources))
        interval = self._det_interval if tracked else 1
        chunk = GPU_CHUNK if on_gpu and not live and interval == 1 else 1
        self.times = StageTimes()
        finder = Finder(self._model, self.times, given, self._finish.heatmap, self._threads)
        run = Run(sources, finder, Follower(self._finish), Schedule(workers, chunk, interval, live),
                  self.times)
        self.faults = run.faults
        return run

    def _given(self, boxes: Any) -> Optional[Boxes]:
        if boxes is None or isinstance(boxes, GivenBoxes):
            return boxes
        if isinstance(boxes, (str, Path)):
            return GivenBoxes(Path(boxes), self.classes, least_score=self._bbox_thr)
        if isinstance(boxes, np.ndarray) and boxes.ndim == 2:
            return [boxes]
        return list(boxes)


def _check(pose: PathLike, threads: Optional[int], det_interval: int, track: Optional[bool], smooth: bool, scores: str,
           camera: Optional[PathLike], pnp: bool) -> None:
    """Refuses options that contradict each other."""
    if not pose:
        raise UserError("a keypoint model is needed: pose=...")
    if threads is not None and threads < 1:
        raise UserError(f"expected at least one thread, got {threads}")
    if det_interval < 1:
        raise UserError(f"--det-interval {det_interval}: expected 1 or more")
    if track is False and det_interval > 1:
        raise UserError(f"--det-interval {det_interval} needs tracking, and --no-track switches it off")
    if track is False and smooth:
        raise UserError("--smooth needs tracking, and --no-track switches it off")
    if scores not in SCORES:
        raise UserError(f"--scores {scores}: is none of {', '.join(SCORES)}")
    if camera is not None and not pnp:
        raise UserError("--camera is for --pnp, which was not asked for")


def _calibration(model: TopDown, scores: str, pose: str) -> Any:
    """What turns raw scores into probabilities; None to leave them raw."""
    from pose_tools.inference.calibration import Calibration

    facts = getattr(model.estimator, "facts", model.estimator)  # a model that mmpose runs says it by itself
    text = getattr(facts, "calibration", "")
    if scores == "raw" or (scores == "auto" and not text):
        return None
    if not text:
        raise UserError(f"--scores probability: {pose} carries no calibration; tools/calibrate.py fits one")
    return Calibration.from_json(text, pose, model.keypoint_set.keypoints)


def _flip_test_note(calibration: Any, model: TopDown) -> list[str]:
    """Says so where scores were calibrated on another kind of run."""
    own = getattr(model.estimator, "flip_test", None)
    if calibration is None or own is None or own == calibration.flip_test:
        return []
    was, now, so = ("with", "off", "high") if calibration.flip_test else ("without", "on", "low")
    return [f"note: scores were calibrated {was} flip test, and it is {now}: probabilities are a little too {so}"]


def _placer(keypoint_set: KeypointSet, camera: Optional[PathLike], kpt_thr: float, meta: Optional[PathLike]) -> Placer:
    """What finds the vehicle pose of keypoints."""
    from pose_tools.inference.vehicle_pose import placer, read_camera

    return placer(keypoint_set, kpt_thr, None if camera is None else read_camera(camera), meta)
