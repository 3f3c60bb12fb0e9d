"""Solving for a pose from points: many starts, one of which survives wrong points, then refinement.

The points of a car lie nearly in one plane, so that a pose tipped over to the other side explains them about as
well, and one swapped point pulls a least-squares pose far away. Hence poses are solved from all points and
from all but one or two of them (SQPnP, Terzakis and Lourakis, ECCV 2020); what cannot be is struck out; the pose with
the least truncated error over all points wins, and Levenberg-Marquardt refines it on the points that agree.
"""
from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Optional

import numpy as np

LEAST_POINTS = 4
LEFT_OUT = 2  # at most so many points are taken for wrong
TOLERANCE = 0.06  # of the points' extent in the picture: what a car of other proportions differs from the template
LEAST_TOLERANCE_PX = 3.0
UPRIGHT = 0.25  # least cosine between the vehicle's up axis and the picture's: 75 degrees, for cameras on masts

Motion = tuple[np.ndarray, np.ndarray]


def solve_pose(pixels: np.ndarray, weights: np.ndarray, points: np.ndarray, matrix: np.ndarray) -> Optional[Motion]:
    """Finds the motion that takes the points to where they are seen.

    Args:
        pixels: (N, 2), image px without distortion.
        weights: (N,), how far each is trusted.
        points: (N, 3), vehicle frame (x forward, y left, z up, ground at 0), metres.
        matrix: Intrinsics (3, 3), px.

    Returns:
        Rotation (3, 3) and translation (3,), vehicle frame to camera frame, metres; ``None`` where no upright pose
        before the camera, seen from above the ground, explains most of the points.
    """
    if len(pixels) < LEAST_POINTS:
        return None
    tolerance = max(LEAST_TOLERANCE_PX, TOLERANCE * float(np.ptp(pixels, axis=0).max()))
    best, least = None, np.inf
    for motion in _candidates(pixels, points, matrix):
        if not is_possible(motion, points):
            continue
        errors = _errors(motion, pixels, points, matrix)
        cost = _truncated(errors, weights, tolerance)
        if cost < least:
            best, least = motion, cost
        if errors.max() < tolerance / 2:  # nothing is wrong with any point
            break
    if best is None:
        return None
    best = _refined(best, pixels, weights, points, matrix, tolerance)
    agree = int((_errors(best, pixels, points, matrix) < tolerance).sum())
    return best if agree >= LEAST_POINTS and agree > len(pixels) / 2 else None


def is_possible(motion: Motion, points: np.ndarray) -> bool:
    """Whether a vehicle can stand so: ahead of the camera, upright, and not seen from below the ground."""
    rotation, translation = motion
    if not (np.isfinite(rotation).all() and np.isfinite(translation).all()):
        return False
    ahead = (points @ rotation.T + translation)[:, 2].min() > 0
    above = -(rotation.T @ translation)[2] > 0
    return bool(ahead and above and -rotation[1, 2] > UPRIGHT)


def reprojection(motion: Motion, points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Projects points (N, 3) of the vehicle frame to image px (N, 2); NaN for what is not ahead of the camera."""
    seen = points @ motion[0].T + motion[1]
    depth = np.where(seen[:, 2:] > 1e-3, seen[:, 2:], np.nan)
    return ((seen / depth) @ matrix.T)[:, :2]


def _subsets(count: int) -> Iterator[tuple[int, ...]]:
    """All points, then all but one, then all but two, as long as enough remain; those left out are judged by."""
    for left_out in range(LEFT_OUT + 1):
        if left_out and count - left_out < LEAST_POINTS:
            return
        yield from combinations(range(count), count - left_out)


def _candidates(pixels: np.ndarray, points: np.ndarray, matrix: np.ndarray) -> Iterator[Motion]:
    import cv2

    for subset in map(list, _subsets(len(pixels))):
        try:
            _, turns, moves, _ = cv2.solvePnPGeneric(points[subset], pixels[subset], matrix, None,
                                                     flags=cv2.SOLVEPNP_SQPNP)
        except cv2.error:  # points on a line
            continue
        for turn, move in zip(turns, moves):
            yield cv2.Rodrigues(turn)[0], np.asarray(move, float).ravel()


def _errors(motion: Motion, pixels: np.ndarray, points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return np.linalg.norm(reprojection(motion, points, matrix) - pixels, axis=1)


def _truncated(errors: np.ndarray, weights: np.ndarray, tolerance: float) -> float:
    return float((weights * np.minimum(errors, tolerance) ** 2).sum())


def _refined(motion: Motion, pixels: np.ndarray, weights: np.ndarray, points: np.ndarray, matrix: np.ndarray,
             tolerance: float) -> Motion:
    """Refines on the points that agree; keeps what was there where refining makes it worse or impossible."""
    import cv2

    for _ in range(2):
        errors = _errors(motion, pixels, points, matrix)
        agree = errors < tolerance
        if agree.sum() < LEAST_POINTS:
            break
        turn, move = cv2.solvePnPRefineLM(points[agree], pixels[agree], matrix, None, cv2.Rodrigues(motion[0])[0],
                                          motion[1].reshape(3, 1).copy())
        better: Motion = cv2.Rodrigues(turn)[0], move.ravel()
        if not is_possible(better, points):
            break
        if _truncated(_errors(better, pixels, points, matrix), weights, tolerance) > _truncated(errors, weights,
                                                                                               tolerance):
            break
        motion = better
    return motion
