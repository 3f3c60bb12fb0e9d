"""Fitting what raw scores are worth, from few labels as from many.

One logistic curve is fitted to all keypoints together; each swap pair gets its own, drawn towards it, and each keypoint
one drawn towards that of its pair. So few labels leave little more than the curve of all keypoints, and many are heard
out. An isotonic curve, drawn towards the keypoint's logistic one, takes any shape that the data have, for models whose
scores need it; cross-validation chooses (:func:`~pose_tools.inference.calibration.assess.choose_method`). On rendered
cars the logistic ones had the lower log loss from 20, 60 and 300 pictures alike.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np

from pose_tools.formats.calibration import Curve
from pose_tools.formats.schema import KeypointSet

PSEUDO_LABELS = 20.0  # that the logistic curve counts for in the isotonic one
LOGISTIC, ISOTONIC = METHODS = ("logistic", "isotonic")
GRID = 33  # points at which a logistic curve enters the file
_DIGITS = 6
Points = tuple[np.ndarray, np.ndarray]  # of a curve: scores and probabilities
Line = tuple[float, float]  # logit at the mean score, and what a standard deviation of scores adds

# The prior: by how much (standard deviation) a keypoint's line differs from its pair's, and a pair's from that of all.
# Keypoints differ in how easy they are rather than in what a higher score is worth: with 39 labels a keypoint of the
# wheels photographs narrower first values lost, and with those of 20 pictures of cars wider ones.
SPREAD: Line = (0.5, 0.15)


@dataclass(frozen=True)
class Observations:
    """Labelled points and what was predicted for them.

    Attributes:
        scores: (M,) raw scores.
        right: (M,) bool, whether the prediction was near enough.
        keypoints: (M,) index of the keypoint.
        pictures: (M,) which picture, any integers; points of one picture are not independent.
    """

    scores: np.ndarray
    right: np.ndarray
    keypoints: np.ndarray
    pictures: np.ndarray

    def __len__(self) -> int:
        """How many there are."""
        return len(self.scores)

    def of(self, chosen: np.ndarray) -> Observations:
        """Those that a mask (M,) or indices choose."""
        return Observations(self.scores[chosen], self.right[chosen], self.keypoints[chosen], self.pictures[chosen])


def fit_curves(observed: Observations, keypoint_set: KeypointSet, method: str = LOGISTIC) -> tuple[Curve, ...]:
    """Fits a curve for each keypoint.

    Args:
        observed: At least one observation.
        keypoint_set: K names, and which of them swap.
        method: One of :data:`METHODS`.

    Returns:
        K curves. Those of keypoints without labels are their pair's, or that of all keypoints.
    """
    middle, width = float(observed.scores.mean()), float(observed.scores.std()) or 1.0
    x = (observed.scores - middle) / width
    everything = fit_logistic(x, smoothed_targets(observed.right))
    curves = []
    for index, (name, partner) in enumerate(zip(keypoint_set.keypoints, keypoint_set.flip_indices)):
        own, pair = observed.keypoints == index, np.isin(observed.keypoints, (index, partner))
        line = fit_logistic(x[pair], observed.right[pair], everything, SPREAD)
        if partner != index:
            line = fit_logistic(x[own], observed.right[own], line, SPREAD)

        def logistic(scores: np.ndarray, line: Line = line) -> np.ndarray:
            return sigmoid(line[0] + line[1] * (scores - middle) / width)

        points = _on_grid(observed.scores, logistic) if method == LOGISTIC or not own.any() else \
            fit_isotonic(observed.scores[own], observed.right[own], logistic)
        curves.append(Curve(name, int(own.sum()), *_rounded(*_within(*points, int(own.sum())))))
    return tuple(curves)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, within a billionth of 0 and 1."""
    return np.clip(0.5 * (1 + np.tanh(0.5 * np.asarray(logits, float))), 1e-9, 1 - 1e-9)


def smoothed_targets(right: np.ndarray) -> np.ndarray:
    """What a fit without other prior aims at, (M,): as if one more of each kind had been seen, never 0 or 1.

    J. Platt, Probabilistic Outputs for Support Vector Machines, 1999.
    """
    hits = int(right.sum())
    return np.where(right, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))


def fit_logistic(x: np.ndarray, targets: np.ndarray, centre: Line = (0.0, 0.0), spread: Line = (1e3, 1e3)) -> Line:
    """Fits ``sigmoid(a + b * x)`` with ``b`` >= 0 by Newton's method.

    Args:
        x: (M,) scores, of about the width 1.
        targets: (M,) from 0 to 1.
        centre: Mean of the normal prior of a and b.
        spread: Its standard deviations.

    Returns:
        a and b of the greatest posterior density.
    """
    line = _newton(np.stack([np.ones(len(x)), x], 1), targets, np.array(centre), np.array(spread))
    if line[1] >= 0:
        return float(line[0]), float(line[1])
    return float(_newton(np.ones((len(x), 1)), targets, np.array(centre[:1]), np.array(spread[:1]))[0]), 0.0


def _newton(columns: np.ndarray, targets: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The posterior is log-concave; steps are halved until it rises, without which a far start can diverge."""
    precision = np.diag(1 / spread ** 2)

    def loss(line: np.ndarray) -> float:
        logits = columns @ line
        return float(np.sum(np.logaddexp(0, logits) - targets * logits) + (line - centre) @ precision @ (line - centre)
                     / 2)

    line, best = centre.astype(float), loss(centre)
    for _ in range(100):
        found = sigmoid(columns @ line)
        slope = columns.T @ (found - targets) + precision @ (line - centre)
        step = np.linalg.solve(columns.T @ (columns * (found * (1 - found))[:, None]) + precision, slope)
        while loss(line - step) > best and np.abs(step).max() > 1e-9:
            step = step / 2
        line = line - step
        best = loss(line)
        if np.abs(step).max() < 1e-9:
            break
    return line


def fit_isotonic(scores: np.ndarray, right: np.ndarray, prior: Callable[[np.ndarray], np.ndarray],
                 pseudo_labels: float = PSEUDO_LABELS) -> Points:
    """Fits a non-decreasing curve.

    Each label is joined by a share of ``pseudo_labels`` that were right as often as the prior says at its score. Blocks
    of pooled scores stand at their mean score, and the curve is straight between (A. Oron, N. Flournoy, Centered
    Isotonic Regression, 2017): a step would be the worst guess beside itself.

    Args:
        scores: (M,) raw, at least one.
        right: (M,) bool.
        prior: Gives the probabilities, above 0 and below 1, of scores.
        pseudo_labels: How many labels the prior counts for.

    Returns:
        Scores (P,), increasing, and probabilities (P,).
    """
    levels, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    share = pseudo_labels / len(scores)
    hits = np.bincount(place, right)
    targets = (hits / counts + share * prior(levels)) / (1 + share)
    heights = pool_adjacent_violators(targets, counts.astype(float))
    _, block = np.unique(heights, return_inverse=True)
    heavy = np.bincount(block, counts)
    return np.bincount(block, counts * levels) / heavy, np.bincount(block, counts * heights) / heavy


def pool_adjacent_violators(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Gives the non-decreasing sequence nearest to values in weighted least squares.

    Neighbours that decrease are replaced by their mean until none do (M. Ayer et al., An Empirical Distribution
    Function for Sampling with Incomplete Information, 1955).

    Args:
        values: (N,) in order.
        weights: (N,) positive.

    Returns:
        (N,) values.
    """
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist()):
        block = (value, weight, 1)
        while blocks and blocks[-1][0] >= block[0]:
            mean, heavy, count = blocks.pop()
            total = heavy + block[1]
            block = ((mean * heavy + block[0] * block[1]) / total, total, count + block[2])
        blocks.append(block)
    return np.repeat([mean for mean, _, _ in blocks], [count for _, _, count in blocks])


def _on_grid(scores: np.ndarray, curve: Callable[[np.ndarray], np.ndarray]) -> Points:
    grid = np.linspace(scores.min(), scores.max(), GRID)
    return grid, curve(grid)


def _within(scores: np.ndarray, probabilities: np.ndarray, labels: int) -> Points:
    """Nothing is surer than Laplace's rule of succession makes it after so many labels, pseudo-labels included."""
    least = 1 / (labels + PSEUDO_LABELS + 2)
    return scores, np.clip(probabilities, least, 1 - least)


def _rounded(scores: np.ndarray, probabilities: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Few digits, for a short file; scores that become equal keep the first probability."""
    shown: dict[float, float] = {}
    for score, probability in zip(scores.tolist(), probabilities.tolist()):
        shown.setdefault(float(f"{score:.{_DIGITS}g}"), float(f"{probability:.{_DIGITS}g}"))
    return tuple(shown), tuple(shown.values())
