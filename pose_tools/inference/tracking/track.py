"""One object that is followed."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from pose_tools.inference.tracking.following import follow_box
from pose_tools.inference.tracking.motion import BoxMotion, MeasuredSpeed, Noise, xyxy_to_centre

CLEAR = 0.2  # share of an object that may be covered while its colours are still its own
STEADY_RATE = 0.1  # weight of a detector's last run in how often it finds an object; half is taken to begin with
SURE = 0.3  # mean weight from which keypoints say what pose an object has, and how it moved
RIGID = 0.1  # sizes; where keypoints move by more against each other, they do not say how the object moved
POINT_NOISE = 0.05  # standard deviation of a keypoint along an axis, in sizes
COLOUR_RATE = 0.1  # weight of a new sighting's colours, once there were enough


@dataclass(frozen=True)
class Look:
    """One object in one frame, image px.

    Attributes:
        box: (4,) xyxy.
        score: Of the box.
        keypoints: (K, 2).
        weights: (K,) keypoint scores in [0, 1]; 0 where there is no keypoint.
        cover: Share of the box that is behind another.
        colours: (C,) of :func:`pose_tools.inference.tracking.appearance.colour_signature`; None where unknown.
    """

    box: np.ndarray
    score: float
    keypoints: np.ndarray
    weights: np.ndarray
    cover: float = 0.0
    colours: Optional[np.ndarray] = None


class Track:
    """An object: where it is, what it looked like when it was last seen, and whether it is one at all.

    Args:
        look: The detection it begins with.
        label: 0-based class index.
        noise: Of its motion.

    Attributes:
        id: From 1; 0 until it is confirmed.
        label: As given.
        hits: Detections so far.
        missed: Detector runs in a row that did not find it.
        away: Seconds since it was last seen.
        steady: Share of the detector's last runs, of ten or so, that found it.
        undetected: Seconds since the detector found it.
        score: Of the last detection.
        detection: What the detector last gave; frames without a detector are measured by it.
        look: The last detection, or the last look in a frame without a detector.
        colours: (C,) of sightings in which it was not covered; None before the first.
    """

    def __init__(self, look: Look, label: int, noise: Noise) -> None:
        """Begins."""
        self.id, self.label, self.hits, self.missed, self.away, self.score = 0, label, 0, 0, 0.0, look.score
        self.undetected, self.steady = 0.0, 0.5
        self.motion = BoxMotion(look.box, noise)
        self.detection = look
        self.colours: Optional[np.ndarray] = None
        self._clear = 0
        self._seen(look)

    def _seen(self, look: Look) -> None:
        self.look, self.away, self._jerk = look, 0.0, np.zeros(2)
        self._place = self.motion.place.copy()

    def detected(self, look: Look, doubt: float = 1.0) -> None:
        """Takes in what a detector found; see :meth:`BoxMotion.correct` for ``doubt``."""
        if self.hits:
            self.motion.correct(look.box, doubt, self._speed(look))
        self.hits += 1
        self.undetected = 0.0
        self.score, self.detection = look.score, look
        self._seen(look)
        if look.colours is not None and look.cover <= CLEAR:
            self._clear += 1
            share = max(COLOUR_RATE, 1 / self._clear)
            mixed = look.colours if self.colours is None else (1 - share) * self.colours + share * look.colours
            self.colours = mixed / np.linalg.norm(mixed)

    def _speed(self, look: Look) -> Optional[MeasuredSpeed]:
        """How fast the keypoints moved since they were last seen.

        A box does not say: while an object comes into the picture, or out from behind another, one side moves only.
        """
        weights = np.sqrt(self.look.weights * look.weights)
        if self.away <= 0 or weights.mean() < SURE:
            return None
        share = weights / weights.sum()
        steps = look.keypoints - self.look.keypoints - self._jerk
        mean = share @ steps
        if share @ ((steps - mean) ** 2).sum(axis=1) > 2 * (RIGID * self.motion.size) ** 2:
            return None
        noise = POINT_NOISE * self.motion.size / self.away
        return MeasuredSpeed(mean / self.away, float(2 * noise ** 2 * (share ** 2).sum()))

    def counted(self) -> None:
        """Notes, after a detector's run, whether it found the object."""
        self.missed = self.missed + 1 if self.away else 0
        self.steady += STEADY_RATE * ((self.away == 0) - self.steady)

    def resume(self, before: Track) -> None:
        """Is an object that was away, and goes on under its id."""
        self.id, self.colours, self._clear = before.id, before.colours, before._clear

    def followed(self, look: Look) -> None:
        """Takes in a look in a frame without a detector."""
        self.motion.correct(look.box)
        self._seen(look)

    def shift(self, jerk: np.ndarray) -> None:
        """Moves with the camera (2,), px, which says nothing about its speed."""
        self.motion.place[:2] += jerk
        self._jerk += jerk

    def advance(self, seconds: float) -> None:
        """Moves on in time; until it is seen again it is away."""
        self.motion.advance(seconds, self.away == 0)
        self.away += seconds
        self.undetected += seconds

    @property
    def expected_keypoints(self) -> np.ndarray:
        """(K, 2) the last keypoints, moved and scaled as the box moved since; image px."""
        scale = self.motion.size / np.sqrt(self._place[2] * self._place[3])
        return self.motion.place[:2] + scale * (self.look.keypoints - self._place[:2])

    def box_of(self, keypoints: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The box (4,) xyxy that belongs to keypoints (K, 2) of a frame without a detector, by the last detection."""
        then = self.detection
        both = np.sqrt(then.weights * weights)
        if not both.any():
            return self.motion.box
        size_then = np.sqrt(max(float(np.prod(xyxy_to_centre(then.box)[2:])), 1e-12))
        return follow_box(then.box, then.keypoints, keypoints, both, self.motion.size / size_then)
