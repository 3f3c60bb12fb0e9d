"""How good calibrated scores are on pictures that the fit did not see."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose_tools.console import table
from pose_tools.formats.calibration import Curve
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.calibration.fit import METHODS, Observations, fit_curves
from pose_tools.report.reliability import brier_score, calibration_error, log_loss

_HEADER = ("keypoint", "labels", "right", "mean score", "ECE raw", "ECE", "Brier raw", "Brier")


def apply_curves(curves: Sequence[Curve], observed: Observations) -> np.ndarray:
    """Probabilities (M,) of observations, each by the curve of its keypoint."""
    found = np.empty(len(observed))
    for index, curve in enumerate(curves):
        own = observed.keypoints == index
        found[own] = np.interp(observed.scores[own], curve.scores, curve.probabilities)
    return found


@dataclass(frozen=True)
class Choice:
    """Which method is taken, and why.

    Attributes:
        method: One of :data:`~.fit.METHODS`.
        losses: Cross-validated log loss of each.
        probabilities: (M,) what cross-validation of the chosen one gave the observations.
    """

    method: str
    losses: dict[str, float]
    probabilities: np.ndarray


def choose_method(observed: Observations, keypoint_set: KeypointSet, folds: int) -> Choice:
    """Takes the method with the lower cross-validated log loss, the first of :data:`~.fit.METHODS` where equal.

    Args:
        observed: As for :func:`cross_validate`.
        keypoint_set: Likewise.
        folds: Likewise.
    """
    found = {method: cross_validate(observed, keypoint_set, folds, method) for method in METHODS}
    losses = {method: log_loss(values, observed.right) for method, values in found.items()}
    best = min(METHODS, key=losses.__getitem__)
    return Choice(best, losses, found[best])


def cross_validate(observed: Observations, keypoint_set: KeypointSet, folds: int, method: str = METHODS[0],
                   seed: int = 0) -> np.ndarray:
    """Gives every observation the probability of a fit that did not see its picture.

    Args:
        observed: Of at least two pictures.
        keypoint_set: As for :func:`~.fit.fit_curves`.
        folds: Parts that the pictures are dealt into; no more than there are pictures.
        method: Likewise.
        seed: Of the dealing.

    Returns:
        (M,) probabilities.
    """
    _, picture = np.unique(observed.pictures, return_inverse=True)
    count = int(picture.max()) + 1
    fold = (np.random.default_rng(seed).permutation(count) % min(folds, count))[picture]
    found = np.empty(len(observed))
    for number in range(fold.max() + 1):
        held = fold == number
        found[held] = apply_curves(fit_curves(observed.of(~held), keypoint_set, method), observed.of(held))
    return found


def assessment_table(observed: Observations, probabilities: np.ndarray, keypoint_set: KeypointSet) -> str:
    """A table for people: a row a keypoint, and one over all of them.

    Args:
        observed: The observations.
        probabilities: (M,) what cross-validation gave them. Raw scores are cut to [0, 1] to be compared.
        keypoint_set: Names.
    """
    raw = np.clip(observed.scores, 0, 1)
    rows = [_row(name, observed, raw, probabilities, observed.keypoints == index)
            for index, name in enumerate(keypoint_set.keypoints)]
    return table([*rows, _row("all", observed, raw, probabilities, np.ones(len(observed), bool))], _HEADER)


def _row(name: str, observed: Observations, raw: np.ndarray, probabilities: np.ndarray, own: np.ndarray
         ) -> list[object]:
    right = observed.right[own]
    if not own.any():
        return [name, 0, *["-"] * (len(_HEADER) - 2)]
    return [name, int(own.sum()), f"{right.mean():.3f}", f"{observed.scores[own].mean():.3f}",
            *(f"{measure(values[own], right):.3f}" for measure in (calibration_error, brier_score)
              for values in (raw, probabilities))]
