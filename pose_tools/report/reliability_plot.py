"""A picture of a calibration: whether its probabilities hold, and what each raw score is worth."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pose_tools.formats.calibration import Calibration
from pose_tools.report.reliability import brier_score, calibration_error, reliability_bins
from pose_tools.report.sigma_plot import png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 20  # curves that the legend names
_HELD, _LINE = "#00798c", "0.45"


def draw_reliability(calibration: Calibration, scores: np.ndarray, right: np.ndarray, keypoints: np.ndarray,
                     probabilities: np.ndarray) -> Figure:
    """Draws a reliability diagram over all keypoints, how many points are behind it, and the curves.

    Args:
        calibration: Fitted to all observations.
        scores: (M,) raw scores.
        right: (M,) bool.
        keypoints: (M,) index of the keypoint.
        probabilities: (M,) of fits that did not see the observation's picture.

    Returns:
        The figure; :func:`png` makes a picture of it.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6.4), dpi=110, layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(4, 1))
    _draw_bins(figure.add_subplot(grid[0, 0]), probabilities, right)
    _draw_counts(figure.add_subplot(grid[1, 0]), probabilities)
    _draw_curves(figure.add_subplot(grid[:, 1]), calibration, scores, keypoints)
    figure.suptitle(f"Right: within {100 * calibration.distance:g} % of the longer side of the labelled box. "
                    f"{len(right)} points of {calibration.pictures} pictures, {100 * right.mean():.1f} % right")
    return figure


def _draw_bins(axis: Axes, probabilities: np.ndarray, right: np.ndarray) -> None:
    bins = reliability_bins(probabilities, right)
    middles, seen = [each.predicted for each in bins], [each.seen for each in bins]
    reach = [[each.seen - each.low for each in bins], [each.high - each.seen for each in bins]]
    axis.plot([0, 1], [0, 1], "--", color=_LINE, label="what is said is so")
    axis.errorbar(middles, seen, yerr=np.maximum(reach, 0), fmt="o", color=_HELD, capsize=3, ms=5,
                  label=f"{len(bins)} groups of about {np.median([each.count for each in bins]):.0f} points, "
                        "95 % intervals")
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="probability", ylabel="share that was right",
             title="Cross-validated: pictures that the fit did not see\n"
                   f"calibration error {calibration_error(probabilities, right):.3f}, "
                   f"Brier score {brier_score(probabilities, right):.3f}")
    axis.grid(color="0.88")
    axis.legend(loc="upper left", framealpha=0.9)


def _draw_counts(axis: Axes, probabilities: np.ndarray) -> None:
    axis.hist(probabilities, bins=np.linspace(0, 1, 21), color=_HELD)
    axis.set(xlim=(-0.02, 1.02), xlabel="probability", ylabel="points")
    axis.grid(color="0.88")


def _draw_curves(axis: Axes, calibration: Calibration, scores: np.ndarray, keypoints: np.ndarray) -> None:
    """Each keypoint's curve, over the scores that it was seen with."""
    colours = _colours(len(calibration.curves))
    for index, (curve, colour) in enumerate(zip(calibration.curves, colours)):
        own = scores[keypoints == index]
        span = own if len(own) else scores
        ends = np.array([min(span.min(), curve.scores[0]), *curve.scores, max(span.max(), curve.scores[-1])])
        axis.plot(ends, np.interp(ends, curve.scores, curve.probabilities), "-", color=colour, lw=1.5,
                  label=f"{_plain(curve.name)} ({curve.labels})")
    axis.set(ylim=(-0.02, 1.02), xlabel="raw score", ylabel="probability", title="What a raw score is worth")
    axis.grid(color="0.88")
    if len(calibration.curves) <= MOST_NAMED:
        axis.legend(loc="lower right", framealpha=0.9, title="keypoint (labels)", fontsize="small")


def _colours(count: int) -> Sequence[tuple[float, float, float, float]]:
    from matplotlib import colormaps

    return [colormaps["turbo"](place) for place in np.linspace(0.03, 0.97, count)]


def _plain(name: str) -> str:
    """A name in which matplotlib sees no formula, and which a legend does not hide."""
    return " " * name.startswith("_") + name.replace("$", r"\$")


__all__ = ["draw_reliability", "png"]
