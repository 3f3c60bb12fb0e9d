"""Ids that stay: ByteTrack's association over boxes, keypoints and colours.

Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022: detections with a good
score are given to objects first, then those with a low one to objects that are left, since an object half hidden still
has a weak box; a low one begins nothing. New here: keypoints (OKS) and colours say who is who besides boxes (IoU),
which tells two cars apart that drive through each other's boxes; who was away for long has a claim to what is found
where it must be now, and gets back its id when it was found there twice, in its pose and at its speed, so that neither
one wrong box nor a car that only passes can take it; limits are in seconds; and an object can be followed by its
keypoints through frames in which no detector ran, or ran and missed it.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from pose_tools.formats.boxes import areas_xyxy
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.tracking.appearance import colour_signature, covered
from pose_tools.inference.tracking.association import assign, sigmas_or_default
from pose_tools.inference.tracking.likeness import HALF_COVERED, Likeness
from pose_tools.inference.tracking.options import TrackOptions
from pose_tools.inference.tracking.track import Look, Track

COPY_KEYPOINTS = 0.75, 0.4  # OKS of two detections of one object, whose boxes are about the same
STEADY = 0.65  # share of frames in which a detector finds what it is not expected to miss
BIRTH_KEYPOINTS = 0.6, 0.2  # the OKS of an object and a detection that must not begin another
LOW_DOUBT = 2.0  # a box with a low score often covers only what is not hidden
MISSED = 0.7  # an object that was not found in the last frame gives way to one that was
FORGOTTEN = 0.7  # sizes; one whose place is known no better has half a claim to what is found there
SAME_KEYPOINTS = 0.8  # OKS from which two poses are of one object
OUTSIDE = 0.1  # share of its box in the picture below which an object that was lost has left


@dataclass(frozen=True)
class Tracked:
    """What became of the N instances of a frame.

    Attributes:
        ids: (N,) int64, from 1, in the order in which objects were confirmed; 0 where ``keep`` is False.
        keep: (N,) bool; False for what is no object (yet), or no longer.
        boxes: (N, 4) xyxy, image px: the detections, or those of a frame without a detector, fitted to the keypoints.
    """

    ids: np.ndarray
    keep: np.ndarray
    boxes: np.ndarray


@dataclass(frozen=True)
class Ahead:
    """Where M objects are expected in a frame without a detector.

    Attributes:
        boxes: (M, 4) xyxy, image px.
        scores: (M,) of the last detections.
        labels: (M,) 0-based class indices.
        ids: (M,) int64; 0 for those not confirmed yet.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    ids: np.ndarray


class Tracker:
    """Gives the objects of one video their ids, a frame at a time.

    Args:
        keypoint_set: Its ``sigmas`` say how far keypoints may be off; COCO's mean where there are none.
        frame_rate: Frames per second, for calls that do not give a time.
        high_score: Boxes from this score on begin objects: the threshold below which no box is shown.
        low_score: Boxes from this score on can be objects known already; None is half of ``high_score``.
            :attr:`detector_threshold` says the same.
        image_size: (w, h) px, of all frames; where given, what has left the picture is forgotten at once.
        options: Everything else.

    Raises:
        ValueError: ``frame_rate`` is not a positive number.
    """

    def __init__(self, keypoint_set: KeypointSet, frame_rate: float, *, high_score: float = 0.3,
                 low_score: Optional[float] = None, image_size: Optional[tuple[int, int]] = None,
                 options: Optional[TrackOptions] = None) -> None:
        """Begins without objects."""
        if not (np.isfinite(frame_rate) and frame_rate > 0):
            raise ValueError(f"expected a positive frame rate, got {frame_rate}")
        self.options = options or TrackOptions()
        self.high_score = high_score
        self.detector_threshold = high_score / 2 if low_score is None else min(low_score, high_score)
        self._step, self._image_size = 1 / frame_rate, image_size
        sigmas = sigmas_or_default(keypoint_set.sigmas, len(keypoint_set.keypoints))
        self._likeness = Likeness(self.options, sigmas)
        self._tracks: list[Track] = []
        self._pending: Optional[list[Track]] = None
        self._time: Optional[float] = None
        self._confirmed, self._first, self._passed, self._sparse = 0, True, 0.0, False

    def update(self, boxes: np.ndarray, box_scores: np.ndarray, labels: np.ndarray, keypoints: np.ndarray,
               scores: np.ndarray, detected: bool = True, time: Optional[float] = None,
               image: Optional[np.ndarray] = None) -> Tracked:
        """Takes in the next frame.

        Args:
            boxes: (N, 4) xyxy, image px, from :attr:`detector_threshold` on.
            box_scores: (N,) in [0, 1].
            labels: (N,) class indices; objects of different classes are never the same one.
            keypoints: (N, K, 2), image px.
            scores: (N, K), raw or calibrated.
            detected: False where the boxes are those of :meth:`boxes_ahead`, called for this frame.
            time: Seconds, of this frame; None is one frame after the last.
            image: (H, W, 3) BGR uint8; where it is given, colours tell objects apart as well.

        Raises:
            ValueError: ``detected`` is False and the boxes are not as many as :meth:`boxes_ahead` gave.
        """
        looks = [Look(*each) for each in zip(np.asarray(boxes, float).reshape(-1, 4), map(float, box_scores),
                                             *self._clean(keypoints, scores))]
        if detected:
            self._advance(time)
            looks = self._with_colours(looks, image)
            owners = self._match(looks, np.asarray(labels))
        else:
            if self._pending is None or len(self._pending) != len(looks):
                raise ValueError("expected the instances of boxes_ahead(), called for this frame")
            looks, owners = self._follow(looks, self.options.first)
        for track in self._tracks if detected else ():
            track.counted()
        self._confirm(owners)
        self._sparse = not detected
        self._pending, self._first = None, self._first and not detected
        self._tracks = [track for track in self._tracks if not self._gone(track, detected)]
        return _tracked(looks, owners)

    def boxes_ahead(self, time: Optional[float] = None) -> Ahead:
        """Moves on to the next frame, in which no detector runs, and says where to look.

        Args:
            time: Seconds, of that frame; None is one frame after the last.
        """
        seen = [track for track in self._tracks if track.away == 0 or (
            track.id and track.missed == 1 and track.away <= self.options.look_seconds)]
        self._advance(time)
        return self._ahead(seen)

    def missed(self) -> Ahead:
        """Where to look again for objects that the detector did not find in the frame :meth:`update` was called for.

        Those that it seldom misses, found up to ``look_seconds`` before, and that are not hidden. Ids are not 0.
        """
        seen = np.array([track.motion.box for track in self._tracks if track.away == 0]).reshape(-1, 4)
        lost = [track for track in self._tracks
                if track.id and track.away > 0 and track.steady >= STEADY
                and track.undetected <= self.options.look_seconds]
        boxes = np.array([track.motion.box for track in lost]).reshape(-1, 4)
        hidden = covered(boxes, np.ones(len(boxes), bool), seen)
        return self._ahead([track for track, share in zip(lost, hidden) if share < HALF_COVERED])

    def update_missed(self, keypoints: np.ndarray, scores: np.ndarray, image: Optional[np.ndarray] = None) -> Tracked:
        """Takes in what was found where :meth:`missed` said; none of it begins an object.

        Args:
            keypoints: (M, K, 2), image px.
            scores: (M, K), raw or calibrated.
            image: (H, W, 3) BGR uint8.

        Raises:
            ValueError: They are not as many as :meth:`missed` gave.
        """
        tracks = self._pending or []
        if len(tracks) != len(keypoints):
            raise ValueError("expected the instances of missed(), called for this frame")
        looks, owners = self._follow([
            Look(track.motion.box, track.score, points, weights)
            for track, points, weights in zip(tracks, *self._clean(keypoints, scores))], self.options.again, image)
        self._pending = None
        return _tracked(looks, owners)

    def _ahead(self, tracks: list[Track]) -> Ahead:
        self._pending = tracks
        return Ahead(np.array([track.motion.box for track in tracks]).reshape(-1, 4),
                     np.array([track.score for track in tracks], float),
                     np.array([track.label for track in tracks], np.int64),
                     np.array([track.id for track in tracks], np.int64))

    def _advance(self, time: Optional[float]) -> None:
        seconds = self._step if time is None or self._time is None else max(0.0, time - self._time)
        self._time = time if time is not None else None if self._time is None else self._time + seconds
        self._passed = seconds + 1e-9
        for track in self._tracks:
            track.advance(seconds)
        self._tracks = [track for track in self._tracks if track.away <= self.options.lost_seconds]

    def _near(self) -> list[Track]:
        """Objects that must be near where they are expected: missed once at most, or away only briefly."""
        return [track for track in self._tracks if track.id and (
            track.missed <= 1 or track.away <= self._passed + self.options.brief_seconds)]

    def _gone(self, track: Track, detected: bool) -> bool:
        if track.away == 0:
            return False
        if detected and not track.id:
            return True
        if self._image_size is None:
            return False
        box = track.motion.box[None]
        inside = np.clip(box, 0, np.tile(self._image_size, 2))
        return bool(areas_xyxy(inside)[0] < OUTSIDE * areas_xyxy(box)[0])

    def _with_colours(self, looks: list[Look], image: Optional[np.ndarray]) -> list[Look]:
        """Adds what is covered and what colours there are."""
        if not looks:
            return looks
        expected = [track.motion.box for track in self._near()]
        cover = covered(np.array([look.box for look in looks]),
                        np.array([look.score >= self.high_score for look in looks], bool),
                        np.array(expected).reshape(-1, 4))
        # Between frames that far apart, who comes back is in another light, or half hidden by something else.
        known = image is not None and self.options.colour > 0 and not self._sparse
        return [replace(look, cover=float(share), colours=colour_signature(image, look.box) if known else None)
                for look, share in zip(looks, cover)]

    def _match(self, looks: list[Look], labels: np.ndarray) -> list[Optional[Track]]:
        """Gives detections to tracks in stages and begins new ones; the owner of each detection, or None."""
        owners: list[Optional[Track]] = [None] * len(looks)
        single = self._without_copies(looks, labels)
        good = np.array([look.score >= self.high_score for look in looks], bool)
        near = self._near()
        once = [track for track in self._tracks if not track.id]
        jerk = self._likeness.jerk([track for track in near if track.away <= self._passed],
                                   [look for look, fit in zip(looks, good & single) if fit])
        for track in self._tracks if jerk is not None else ():
            track.shift(jerk)

        def stage(tracks: Sequence[Track], those: np.ndarray, least: float, doubt: float = 1.0,
                  rivals: Sequence[Track] = ()) -> list[Track]:
            columns = [j for j in np.flatnonzero(those & single) if owners[j] is None]
            if not tracks or not columns:
                return list(tracks)
            claims = [*tracks, *rivals]
            similarity, possible = self._likeness.similarity(claims, [looks[j] for j in columns])
            similarity *= np.array([self._claim(track) for track in claims])[:, None]
            same = np.array([track.label for track in claims])[:, None] == labels[columns][None]
            pairs = [(i, j) for i, j in assign(similarity, same & (possible >= least)) if i < len(tracks)]
            for i, j in pairs:
                tracks[i].detected(looks[columns[j]], doubt)
                owners[columns[j]] = tracks[i]
            taken = {i for i, _ in pairs}
            return [track for i, track in enumerate(tracks) if i not in taken]

        # What fits one better who was away for longer, or who is new, is left over: it is his if he is found again.
        rest = [track for track in self._tracks if not any(track is each for each in near)]
        left = stage(near, good, self.options.first, rivals=rest)
        stage([track for track in left if track.away <= self._passed], ~good, self.options.second, LOW_DOUBT)
        stage(once, good, self.options.new)
        for j in np.flatnonzero(good & single):
            if owners[j] is None and not self._is_copy(j, looks, owners, labels):
                owners[j] = Track(looks[j], int(labels[j]), self.options.noise)
                owners[j].detected(looks[j])
                self._tracks.append(owners[j])
        return owners

    def _claim(self, track: Track) -> float:
        """How much an object's similarity with a detection counts, beside that of others."""
        unsure = track.motion.variance / (FORGOTTEN * track.motion.size) ** 2
        return (1.0 if track.away <= self._passed else MISSED) / (1 + unsure)

    def _without_copies(self, looks: Sequence[Look], labels: np.ndarray) -> np.ndarray:
        """(N,) bool: False for a detection that shows the object of one with a better score."""
        single = np.ones(len(looks), bool)
        order = sorted(range(len(looks)), key=lambda j: -looks[j].score)
        for n, j in enumerate(order):
            others = [looks[i] for i in order[:n] if single[i] and labels[i] == labels[j]]
            single[j] = not self._likeness.shows(looks[j], others, COPY_KEYPOINTS)
        return single

    def _confirm(self, owners: Sequence[Optional[Track]]) -> None:
        """Makes objects of those found often enough: the one that was away, or a new one."""
        # Where a detector runs seldom, the second detection of one who comes back is too far off to wait for.
        found = [owner for owner in owners if owner and not owner.id
                 and (self._first or self._sparse or owner.hits >= self.options.confirm)]
        away = [track for track in self._tracks if track.id and track.away > 0]
        if found and away:
            likely, possible = self._likeness.returning(away, found)
            same = np.array([t.label for t in away])[:, None] == np.array([t.label for t in found])[None]
            for i, j in assign(likely, same & (possible > 0)):
                found[j].resume(away[i])
                self._tracks.remove(away[i])
        for owner in found:
            if not owner.id and (self._first or owner.hits >= self.options.confirm):
                self._confirmed += 1
                owner.id = self._confirmed

    def _is_copy(self, j: int, looks: list[Look], owners: list[Optional[Track]], labels: np.ndarray) -> bool:
        """Whether detection ``j``, which would begin an object, shows one that has its detection already."""
        others = [looks[i] for i, owner in enumerate(owners) if owner and labels[i] == labels[j]]
        return self._likeness.shows(looks[j], others, BIRTH_KEYPOINTS)

    def _follow(self, looks: list[Look], least: float,
                image: Optional[np.ndarray] = None) -> tuple[list[Look], list[Optional[Track]]]:
        """Takes in looks at the expected places; where two show one object, it is the one expected there."""
        tracks = self._pending or []
        fitted = [replace(look, box=track.box_of(look.keypoints, look.weights)) for track, look in zip(tracks, looks)]
        if image is not None:
            fitted = [replace(look, colours=colour_signature(image, look.box)) for look in fitted]
        agrees = [float(self._likeness.similarity([track], [look])[1][0, 0]) for track, look in zip(tracks, fitted)]
        owners: list[Optional[Track]] = [None] * len(looks)
        taken = [track for track in self._tracks if track.away == 0]
        for i in sorted(range(len(looks)), key=lambda i: -agrees[i]):
            track, look = tracks[i], fitted[i]
            rivals = [other.look for other in taken if other.label == track.label]
            collapsed = look.weights.mean() < self.options.collapse * track.detection.weights.mean()
            jumped = agrees[i] < least
            if not (collapsed or jumped or (rivals and self._likeness.oks(look, rivals).max() >= SAME_KEYPOINTS)):
                track.followed(look)
                owners[i] = track
                taken.append(track)
        return fitted, owners

    def _clean(self, keypoints: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints (N, K, 2) without NaN and weights (N, K) in [0, 1], which are 0 where there is no keypoint."""
        weights = np.clip(np.nan_to_num(np.asarray(scores, float)), 0, 1)
        counted = np.isfinite(keypoints).all(axis=2) & (self.options.keypoint_share > 0)
        return np.nan_to_num(np.asarray(keypoints, float)), np.where(counted, weights, 0)


def _tracked(looks: Sequence[Look], owners: Sequence[Optional[Track]]) -> Tracked:
    ids = np.array([owner.id if owner else 0 for owner in owners], np.int64)
    return Tracked(ids, ids > 0, np.array([look.box for look in looks]).reshape(-1, 4))
