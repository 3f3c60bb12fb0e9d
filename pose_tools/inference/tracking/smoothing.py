"""Keypoints that do not tremble: the One-Euro filter.

Casiez, Roussel and Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems",
CHI 2012: a low-pass whose cutoff frequency rises with speed, so that what stands still is steady and what moves does
not lag. Here speeds are in sizes of the object per second (a setting means the same for any resolution and distance),
x and y share the cutoff of their common speed (a picture turned by 45 degrees gives the same), and what all keypoints
of an object do together is followed by its speed, so that only what is left is filtered.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np


@dataclass(frozen=True)
class SmoothOptions:
    """How much is smoothed.

    Attributes:
        min_cutoff: Cutoff frequency at rest, Hz; lower is steadier.
        beta: Hz of cutoff gained by each size per second of speed; higher lags less.
        derivative_cutoff: Cutoff frequency of the speed, Hz.
        max_lag: The farthest that a keypoint with a good score may be moved, in sizes (square roots of the box's
            area): no motion, however sudden, lags by more.
        follow: Whether the common speed of an object's keypoints is followed; False is the filter of the paper.
        reset_seconds: An object that was away for longer starts anew.
    """

    min_cutoff: float = 1.0
    beta: float = 5.0
    derivative_cutoff: float = 3.0
    max_lag: float = 0.05
    follow: bool = True
    reset_seconds: float = 0.25

LEAST_STEP = 0.1  # of a frame; two frames of one time, as damaged videos have them, are taken to be this far apart


@dataclass
class _State:
    """Of one object, of K keypoints and 2 corners, all smoothed.

    Attributes:
        places: (K + 2, 2) image px.
        speeds: (K + 2, 2) px/s, without the common one.
        common: (2,) px/s, of all keypoints together.
        known: (K + 2,) bool; False for a keypoint that was nowhere so far.
        size: px.
        time: Seconds, of the last frame it was in.
    """

    places: np.ndarray
    speeds: np.ndarray
    common: np.ndarray
    known: np.ndarray
    size: float
    time: float


def _share(cutoff: np.ndarray, seconds: float) -> np.ndarray:
    """Weight of the new value in a low-pass of a cutoff frequency (Hz): equation 5 of the paper, by equation 4."""
    turned = 2 * np.pi * cutoff * seconds
    return turned / (turned + 1)


class Smoother:
    """Steadies the keypoints and boxes of tracked objects, a frame at a time.

    A keypoint with a score below ``kpt_thr`` is taken by the square of its share of that, and is moved with the object
    instead; one that is nowhere (NaN) stays where the object takes it. Corners of boxes are treated as keypoints.

    Args:
        frame_rate: Frames per second, for calls that do not give a time.
        kpt_thr: Score from which a keypoint is trusted fully.
        options: How much is smoothed.

    Raises:
        ValueError: ``frame_rate`` is not a positive number.
    """

    def __init__(self, frame_rate: float, kpt_thr: float = 0.3, options: Optional[SmoothOptions] = None) -> None:
        """Begins without objects."""
        if not (np.isfinite(frame_rate) and frame_rate > 0):
            raise ValueError(f"expected a positive frame rate, got {frame_rate}")
        self.options, self.kpt_thr = options or SmoothOptions(), kpt_thr
        self._step, self._now = 1 / frame_rate, 0.0
        self._states: dict[int, _State] = {}

    def __call__(self, ids: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, boxes: np.ndarray,
                 time: Optional[float] = None) -> tuple[np.ndarray, np.ndarray]:
        """Takes in the next frame, also one without objects.

        Args:
            ids: (N,) of the objects.
            keypoints: (N, K, 2), image px.
            scores: (N, K).
            boxes: (N, 4) xyxy, image px.
            time: Seconds, of this frame; None is one frame after the last.

        Returns:
            Keypoints (N, K, 2) and boxes (N, 4), image px, of the types given.
        """
        self._now = self._now + self._step if time is None else time
        kept = max(self.options.reset_seconds, 1.5 * self._step) + 1e-6
        self._states = {i: s for i, s in self._states.items() if 0 <= self._now - s.time <= kept}
        smooth, smooth_boxes = np.array(keypoints), np.array(boxes)
        for n, i in enumerate(map(int, ids)):
            points = np.concatenate([keypoints[n], np.asarray(boxes[n]).reshape(2, 2)]).astype(float)
            with np.errstate(invalid="ignore"):
                trust = np.clip(np.asarray(scores[n], float) / max(self.kpt_thr, 1e-9), 0, 1) ** 2
            trust = np.where(np.isfinite(points).all(axis=1), np.append(np.nan_to_num(trust), (1, 1)), 0)
            size = float(np.sqrt(max(float(np.prod(points[-1] - points[-2])), 1.0)))
            before = self._states.get(i)
            after = self._start(points, trust, size) if before is None else self._filter(before, points, trust, size)
            self._states[i] = after
            smooth[n] = np.where(after.known[:-2, None], after.places[:-2], keypoints[n])
            smooth_boxes[n] = after.places[-2:].reshape(4)
        return smooth, smooth_boxes

    def _start(self, points: np.ndarray, trust: np.ndarray, size: float) -> _State:
        known = np.isfinite(points).all(axis=1)
        return _State(np.nan_to_num(points), np.zeros_like(points), np.zeros(2), known, size, self._now)

    def _filter(self, before: _State, points: np.ndarray, trust: np.ndarray, size: float) -> _State:
        options, seconds = self.options, max(self._now - before.time, LEAST_STEP * self._step)
        here = np.where(trust[:, None] > 0, points, before.places)
        measured = (here - before.places) / seconds
        share = _share(np.array(options.derivative_cutoff), seconds)
        common = np.zeros(2)
        if options.follow:
            weights = np.where(before.known, trust, 0)[:, None]
            mean = (weights * measured).sum(axis=0) / max(float(weights.sum()), 1e-9)
            common = before.common + share * (mean - before.common)
        size = before.size + float(share) * (size - before.size)
        own = measured - common
        speeds = before.speeds + (share * trust[:, None]) * (own - before.speeds)
        cutoff = options.min_cutoff + options.beta * np.linalg.norm(speeds, axis=1) / size
        weight = (_share(cutoff, seconds) * trust)[:, None]
        expected = before.places + common * seconds
        places = expected + weight * (here - expected)
        off = places - here
        far = np.linalg.norm(off, axis=1, keepdims=True) / (options.max_lag * size)
        places = np.where((trust[:, None] >= 1) & (far > 1), here + off / np.maximum(far, 1e-12), places)
        appears = ~before.known & (trust > 0)
        places = np.where(appears[:, None], here, places)
        return _State(places, speeds, common, before.known | (trust > 0), size, self._now)
