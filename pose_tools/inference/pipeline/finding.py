"""Finding boxes and keypoints in frames, in several threads at once."""
from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional, Union

import numpy as np

from pose_tools.console import Fault, UserError
from pose_tools.inference.given_boxes import Found, GivenBoxes
from pose_tools.inference.media import Frame
from pose_tools.inference.pipeline.times import StageTimes
from pose_tools.inference.runtime.geometry import check_boxes
from pose_tools.inference.topdown import Instances, TopDown

MOST_WORKERS = 8  # more only wait for memory
Boxes = Union[GivenBoxes, Sequence[Any]]


def share_out(threads: Optional[int] = None) -> tuple[int, int]:
    """How many workers run networks at once on this machine's CPU, and how many threads each run takes.

    Many runs of a thread each are done sooner than one run of many threads after the other: threads of a run wait for
    one another at every layer.

    Args:
        threads: Most that may be used together; None for all cores that this process may use.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = threads or (len(affinity(0)) if affinity else os.cpu_count() or 1)
    workers = min(cores, MOST_WORKERS)
    return workers, max(1, cores // workers)


@contextlib.contextmanager
def quiet_opencv(threads: int) -> Iterator[None]:
    """Lets OpenCV take so many threads: beside threads that are all at work, its own only get in their way."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@dataclass(frozen=True)
class Sighting:
    """A frame with what is known of it so far.

    Attributes:
        frame: The picture.
        order: Its place among all frames of the run, from 0.
        boxes: From the detector or given; None where none was asked for.
        found: Boxes and keypoints; None before they are looked for.
        fault: Why nothing is known.
        key: Whether the detector is to look at it.
    """

    frame: Frame
    order: int
    boxes: Optional[Found] = None
    found: Optional[Instances] = None
    fault: Optional[Fault] = None
    key: bool = True


class Finder:
    """Runs the models of a :class:`TopDown`; may be called by several threads at once.

    Args:
        model: Detector and keypoint model.
        times: Where the seconds are counted.
        boxes: Instead of the detector's: a file's, or for each frame of the run an array (N, 4) xyxy, image px.
        respond: Keep what heat maps are drawn from.
        threads: Of a run by PyTorch, which keeps the number for each calling thread; None leaves it.
    """

    def __init__(self, model: TopDown, times: StageTimes, boxes: Optional[Boxes] = None, respond: bool = False,
                 threads: Optional[int] = None) -> None:
        """Prepares."""
        self._model, self._times, self._boxes, self._respond = model, times, boxes, respond
        self._threads = threads
        self._own = threading.local()

    @property
    def given(self) -> bool:
        """Whether boxes come from a caller, and not from a detector."""
        return self._boxes is not None

    def _twin(self) -> TopDown:
        twin: Optional[TopDown] = getattr(self._own, "model", None)
        if twin is None:
            if self._threads is not None and "torch" in sys.modules:
                sys.modules["torch"].set_num_threads(self._threads)
            twin = self._own.model = self._model.twin()
        return twin

    def detect(self, sightings: Sequence[Sighting]) -> list[Sighting]:
        """Adds boxes to frames."""
        with self._times.stage("detect"):
            if self._boxes is not None:
                return [self._give(each) for each in sightings]
            found = self._twin().detect([each.frame.image for each in sightings])
        return [replace(each, boxes=boxes) for each, boxes in zip(sightings, found)]

    def _give(self, sighting: Sighting) -> Sighting:
        frame = sighting.frame
        try:
            if isinstance(self._boxes, GivenBoxes):
                number = frame.number if frame.source.kind in ("video", "camera") else None
                boxes = self._boxes.find(frame.source.name, number)
            else:
                boxes = given_array(self._boxes, sighting.order)
        except UserError as error:
            what = str(error).removeprefix(f"{frame.source.name}: ")
            return replace(sighting, fault=Fault(frame.source.name, what))
        return replace(sighting, boxes=boxes)

    def estimate(self, sightings: Sequence[Sighting]) -> list[Sighting]:
        """Adds keypoints to frames with boxes; frames with faults pass through."""
        sound = [each for each in sightings if each.fault is None]
        with self._times.stage("pose"):
            found = iter(self._twin().estimate([each.frame.image for each in sound], [each.boxes for each in sound],
                                               self._respond) if sound else ())
        return [each if each.fault else replace(each, found=next(found)) for each in sightings]

    def find(self, sightings: Sequence[Sighting]) -> list[Sighting]:
        """Adds boxes and keypoints to frames."""
        return self.estimate(self.detect(sightings))


def given_array(boxes: Optional[Sequence[Any]], order: int) -> Found:
    """The boxes (N, 4) xyxy that a caller gave for a frame.

    Args:
        boxes: For each frame.
        order: Which frame, from 0.

    Raises:
        UserError: There are none for it, or they are no boxes.
    """
    if boxes is None or order >= len(boxes):
        raise UserError(f"boxes were given for {len(boxes or ())} pictures or frames only")
    array = check_boxes(boxes[order])
    return array, np.ones(len(array), np.float32), np.zeros(len(array), int)
