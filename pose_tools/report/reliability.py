"""How far probabilities can be believed: log loss, Brier score, calibration error, the bins of a reliability diagram.

numpy only.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 10
_Z = 1.959963984540054  # of a 95 % interval of the normal distribution


@dataclass(frozen=True)
class Bin:
    """Points of about the same probability.

    Attributes:
        count: How many.
        predicted: Mean of their probabilities.
        seen: Share of them that were right.
        low: Lower end of the 95 % interval of ``seen``.
        high: Its upper end.
    """

    count: int
    predicted: float
    seen: float
    low: float
    high: float


def log_loss(probabilities: np.ndarray, right: np.ndarray) -> float:
    """Mean of -ln(probability given to what happened); NaN of nothing.

    Args:
        probabilities: (M,), above 0 and below 1.
        right: (M,) bool.
    """
    return float(-np.mean(np.log(np.where(right, probabilities, 1 - probabilities)))) if len(right) else float("nan")


def brier_score(probabilities: np.ndarray, right: np.ndarray) -> float:
    """Mean squared difference of probabilities (M,) from what happened (M,) (G. W. Brier, 1950); NaN of nothing."""
    return float(np.mean((probabilities - right) ** 2)) if len(right) else float("nan")


def reliability_bins(probabilities: np.ndarray, right: np.ndarray, count: int = BINS) -> list[Bin]:
    """Sorts points by probability into bins of equal numbers, as bins of equal width would mostly be empty.

    Args:
        probabilities: (M,).
        right: (M,) bool.
        count: Most bins; fewer where there are fewer points than five a bin. Equal probabilities share a bin.
    """
    count = max(1, min(count, len(right) // 5))
    order = np.argsort(probabilities, kind="stable")
    values, right = probabilities[order], np.asarray(right)[order]
    # The places where bins end, moved so that they do not part equal probabilities.
    ends = sorted({int(np.searchsorted(values, values[place - 1], side="right"))
                   for place in np.linspace(0, len(values), count + 1).round().astype(int)[1:] if place})
    return [_bin(values[start:end], right[start:end]) for start, end in zip([0, *ends], ends)]


def _bin(values: np.ndarray, right: np.ndarray) -> Bin:
    low, high = wilson_interval(int(right.sum()), len(right))
    return Bin(len(right), float(values.mean()), float(right.mean()), low, high)


def wilson_interval(hits: int, count: int) -> tuple[float, float]:
    """A 95 % interval of a share (E. B. Wilson, Probable Inference, 1927), which stays within 0 and 1.

    Args:
        hits: Of ``count``.
        count: At least 1.
    """
    share, z2 = hits / count, _Z ** 2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z / (1 + z2 / count) * np.sqrt(share * (1 - share) / count + z2 / (4 * count ** 2))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def calibration_error(probabilities: np.ndarray, right: np.ndarray, count: int = BINS) -> float:
    """Expected calibration error: mean distance of ``predicted`` and ``seen`` over the points' bins; NaN of nothing.

    Bins of equal numbers (Nixon et al., https://arxiv.org/abs/1904.01685, call it adaptive). Of few points it is above
    0 for a perfect calibration too, as shares scatter.

    Args:
        probabilities: (M,).
        right: (M,) bool.
        count: As for :func:`reliability_bins`.
    """
    if not len(right):
        return float("nan")
    return sum(each.count * abs(each.predicted - each.seen) for each in reliability_bins(probabilities, right, count)
               ) / len(right)
