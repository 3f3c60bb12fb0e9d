"""How the box of one object moves: a Kalman filter of constant velocity with noise in units of the object's size.

State and measurement are centre x, centre y, width and height (cx, cy, w, h), image px, each filtered by itself: the
2x2 equations of the discretised white-noise acceleration model (Bar-Shalom, Li and Kirubarajan, Estimation with
Applications to Tracking and Navigation, 2001, section 6.2.2) are written out, so that no matrix is inverted. Noise
grows with the object, as in SORT's followers (Wojke et al. 2017), and time is in seconds: neither resolution nor frame
rate changes what a setting means.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

FASTEST_SIDE = 1.0  # sizes per second; one wrong box would turn an object inside out
LEAST_SIDE = 1.0  # px; a box that shrinks while nobody sees it must not turn inside out


@dataclass(frozen=True)
class Noise:
    """Standard deviations, in sizes: square roots of the box's area.

    Attributes:
        measured: Of a measured centre or side.
        speed: Of the speed of an object that was seen once, sizes per second.
        acceleration: By how much the speed changes in one second, sizes per second.
    """

    measured: float = 0.03
    speed: float = 2.0
    acceleration: float = 1.0


@dataclass(frozen=True)
class MeasuredSpeed:
    """How fast a centre moves.

    Attributes:
        speed: (2,) px/s.
        variance: Along an axis, (px/s)^2.
    """

    speed: np.ndarray
    variance: float


def xyxy_to_centre(box: np.ndarray) -> np.ndarray:
    """(..., 4) x0, y0, x1, y1 to cx, cy, w, h; image px."""
    low, high = box[..., :2], box[..., 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=-1)


def centre_to_xyxy(box: np.ndarray) -> np.ndarray:
    """(..., 4) cx, cy, w, h to x0, y0, x1, y1; image px."""
    half = box[..., 2:] / 2
    return np.concatenate([box[..., :2] - half, box[..., :2] + half], axis=-1)


class BoxMotion:
    """The filter of one object.

    Args:
        box: (4,) xyxy, image px.
        noise: In sizes.
    """

    def __init__(self, box: np.ndarray, noise: Noise) -> None:
        """Starts at rest, with a speed that could be anything."""
        self.noise = noise
        self.place = np.asarray(xyxy_to_centre(np.asarray(box, float)))
        self.place[2:] = np.maximum(self.place[2:], LEAST_SIDE)
        self.speed = np.zeros(4)
        self._place_variance = np.full(4, (noise.measured * self.size) ** 2)
        self._covariance = np.zeros(4)
        self._speed_variance = np.full(4, (noise.speed * self.size) ** 2)

    @property
    def box(self) -> np.ndarray:
        """(4,) xyxy, image px."""
        return centre_to_xyxy(self.place)

    @property
    def size(self) -> float:
        """Square root of the area, px."""
        return float(np.sqrt(self.place[2] * self.place[3]))

    @property
    def variance(self) -> float:
        """Of the centre along an axis, px^2."""
        return float(self._place_variance[:2].mean())

    @property
    def speed_variance(self) -> float:
        """Of the centre's speed along an axis, (px/s)^2."""
        return float(self._speed_variance[:2].mean())

    def advance(self, seconds: float, seen: bool) -> None:
        """Moves on in time.

        Args:
            seconds: Since the last call, 0 or more.
            seen: Whether the object was found before this step. The sides of one that was not stay as they are.
        """
        if seconds <= 0:
            return
        if not seen:
            self.speed[2:] = 0
        density = (self.noise.acceleration * self.size) ** 2
        self.place = self.place + self.speed * seconds
        self.place[2:] = np.maximum(self.place[2:], LEAST_SIDE)
        self._place_variance = (self._place_variance + 2 * seconds * self._covariance
                                + seconds ** 2 * self._speed_variance + density * seconds ** 3 / 3)
        self._covariance = self._covariance + seconds * self._speed_variance + density * seconds ** 2 / 2
        self._speed_variance = self._speed_variance + density * seconds

    def correct(self, box: np.ndarray, doubt: float = 1.0, speed: Optional[MeasuredSpeed] = None) -> None:
        """Takes in a measured box.

        Args:
            box: (4,) xyxy, image px.
            doubt: Factor on the measurement's standard deviation.
            speed: Of the centre, where that was measured by itself; the box then says nothing about it.
        """
        total = self._place_variance + (self.noise.measured * doubt * self.size) ** 2
        gain, speed_gain = self._place_variance / total, self._covariance / total
        if speed is not None:
            speed_gain[:2] = 0
        surprise = xyxy_to_centre(np.asarray(box, float)) - self.place
        self.place = self.place + gain * surprise
        self.place[2:] = np.maximum(self.place[2:], LEAST_SIDE)
        self.speed = self.speed + speed_gain * surprise
        self.speed[2:] = np.clip(self.speed[2:], -FASTEST_SIDE * self.size, FASTEST_SIDE * self.size)
        self._speed_variance = self._speed_variance - speed_gain * self._covariance
        self._covariance = (1 - gain) * self._covariance
        self._place_variance = (1 - gain) * self._place_variance
        if speed is not None:
            self._correct_speed(speed)

    def _correct_speed(self, measured: MeasuredSpeed) -> None:
        total = self._speed_variance[:2] + measured.variance
        self.speed[:2] += self._speed_variance[:2] / total * (measured.speed - self.speed[:2])
        self._covariance[:2] *= measured.variance / total
        self._speed_variance[:2] *= measured.variance / total
