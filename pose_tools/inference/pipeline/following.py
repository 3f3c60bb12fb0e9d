"""From what was found in a frame to its result: ids, calibrated scores, smoothing, vehicle pose, heat map."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Optional

import numpy as np

from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.given_boxes import Found
from pose_tools.inference.heatmaps import draw_responses
from pose_tools.inference.media import Frame, Source
from pose_tools.inference.pipeline.finding import Sighting
from pose_tools.inference.result import Result
from pose_tools.inference.topdown import Instances
from pose_tools.inference.tracking import Smoother, Tracked, Tracker

FRAME_RATE = 30.0  # of sources that do not say theirs
Placer = Callable[[np.ndarray, np.ndarray, tuple[int, int]], Any]


@dataclass(frozen=True)
class Finish:
    """What is done with every frame after its keypoints were found.

    Attributes:
        keypoint_set: Of the keypoint model.
        track: Whether objects get ids; None tracks videos and cameras, but not pictures.
        smooth: Whether keypoints and boxes of tracked objects are smoothed.
        bbox_thr: Boxes from this score on begin objects.
        kpt_thr: Keypoints from this score on are trusted.
        calibrate: Turns raw scores (N, K) into probabilities; None leaves them raw.
        place: Gives the vehicle pose of keypoints (K, 2) image px, scores (K,) and size (w, h) px; None for none.
        heatmap: Whether heat maps are drawn.
        heatmap_keypoint: Index of the one keypoint whose heat is drawn; None for all.
    """

    keypoint_set: KeypointSet
    track: Optional[bool] = None
    smooth: bool = False
    bbox_thr: float = 0.3
    kpt_thr: float = 0.3
    calibrate: Optional[Callable[[np.ndarray], np.ndarray]] = None
    place: Optional[Placer] = None
    heatmap: bool = False
    heatmap_keypoint: Optional[int] = None

    def tracks(self, source: Source) -> bool:
        """Whether the objects of a source get ids."""
        return source.kind in ("video", "camera") if self.track is None else self.track


class Follower:
    """Makes the results of a run's frames, which come in their order.

    A video or camera is a sequence of its own; pictures that are tracked are one sequence together.

    Args:
        finish: What is done.
    """

    def __init__(self, finish: Finish) -> None:
        """Begins before the first frame."""
        self._finish = finish
        self._sequence: Any = None
        self._tracker: Optional[Tracker] = None
        self._smoother: Optional[Smoother] = None

    def _begin(self, frame: Frame) -> None:
        """Forgets the objects of the last sequence where another begins."""
        source, finish = frame.source, self._finish
        sequence = source if source.kind in ("video", "camera") else "pictures"
        if sequence is self._sequence:
            return
        self._sequence, self._tracker, self._smoother = sequence, None, None
        if finish.tracks(source):
            rate = source.frame_rate or FRAME_RATE
            same_size = source.kind in ("video", "camera")
            size = (frame.image.shape[1], frame.image.shape[0]) if same_size else None
            # Without ByteTrack's second stage: its low boxes are twice as many crops, and what they would bring, an
            # object the detector nearly missed, is found by looking where it is expected.
            self._tracker = Tracker(finish.keypoint_set, rate, high_score=finish.bbox_thr, low_score=finish.bbox_thr,
                                    image_size=size)
            self._smoother = Smoother(rate, finish.kpt_thr) if finish.smooth else None

    def ahead(self, frame: Frame) -> Found:
        """Where to look for keypoints in a frame without a detector: boxes (N, 4) xyxy image px, scores and labels."""
        self._begin(frame)
        if self._tracker is None:
            raise ValueError("where nothing is tracked, a detector has to run in every frame")
        expected = self._tracker.boxes_ahead(frame.time)
        return expected.boxes.astype(np.float32), expected.scores, expected.labels

    def result(self, sighting: Sighting, detected: bool = True,
               look: Optional[Callable[[Sighting], Sighting]] = None) -> Result:
        """Makes the result of a frame.

        Args:
            sighting: With boxes and keypoints.
            detected: False where the boxes are those of :meth:`ahead`.
            look: Finds keypoints in the boxes of a frame, for objects that the detector missed; None leaves them out.
        """
        frame, finish = sighting.frame, self._finish
        self._begin(frame)
        found: Instances = sighting.found
        ids, keep, boxes = None, None, found.boxes
        if self._tracker is not None:
            tracked = self._tracker.update(boxes, found.box_scores, found.labels, found.keypoints,
                                           found.keypoint_scores, detected, frame.time, frame.image)
            if detected and look is not None:
                found, tracked = self._with_missed(sighting, found, tracked, look)
            ids, keep, boxes = tracked.ids[tracked.keep], tracked.keep, tracked.boxes.astype(np.float32)
        chosen = slice(None) if keep is None else keep
        scores = found.keypoint_scores if finish.calibrate is None else finish.calibrate(found.keypoint_scores)
        keypoints, boxes, scores = found.keypoints[chosen], boxes[chosen], scores[chosen]
        if self._smoother is not None:
            keypoints, boxes = self._smoother(ids, keypoints, scores, boxes, frame.time)
        result = Result(frame.image, finish.keypoint_set, finish.keypoint_set.classes, boxes, found.box_scores[chosen],
                        found.labels[chosen], keypoints, scores, "raw" if finish.calibrate is None else "probability",
                        ids, frame.source.name, frame.number, frame.time)
        return self._add(result, found, keep)

    def _with_missed(self, sighting: Sighting, found: Instances, tracked: Tracked,
                     look: Callable[[Sighting], Sighting]) -> tuple[Instances, Tracked]:
        """Adds objects that the detector missed, where their keypoints are there: they would flicker else."""
        assert self._tracker is not None
        missed = self._tracker.missed()
        if not len(missed.boxes):
            return found, tracked
        boxes = missed.boxes.astype(np.float32), missed.scores.astype(found.box_scores.dtype), missed.labels
        more = look(replace(sighting, boxes=boxes, found=None)).found
        if more is None:
            return found, tracked
        again = self._tracker.update_missed(more.keypoints, more.keypoint_scores, sighting.frame.image)
        return found.joined(more), Tracked(*(np.concatenate([getattr(tracked, name), getattr(again, name)])
                                             for name in ("ids", "keep", "boxes")))

    def _add(self, result: Result, found: Instances, keep: Optional[np.ndarray]) -> Result:
        """Adds vehicle poses and the heat map."""
        finish, (height, width) = self._finish, result.image.shape[:2]
        if finish.place is not None:
            result = replace(result, vehicle_poses=tuple(
                finish.place(points, scores, (width, height)) for points, scores in
                zip(result.keypoints, result.scores)))
        if finish.heatmap and found.response is not None:
            response = found.response if keep is None else found.response.part(keep)
            result = replace(result, heatmap=draw_responses(response, (height, width), finish.heatmap_keypoint))
        return result
