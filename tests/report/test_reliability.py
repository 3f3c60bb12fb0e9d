"""Whether probabilities hold, and the picture of it."""
import io
import warnings

import matplotlib.backends.backend_agg  # noqa: F401  before warnings become errors: it warns by itself
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pose_tools.formats.calibration import Calibration, Curve
from pose_tools.report.reliability import (
    brier_score,
    calibration_error,
    log_loss,
    reliability_bins,
    wilson_interval,
)
from pose_tools.report.reliability_plot import draw_reliability, png


def test_scores_by_hand():
    probabilities, right = np.array([0.5, 0.8, 0.2]), np.array([True, True, False])
    assert log_loss(probabilities, right) == pytest.approx(-np.log(0.5 * 0.8 * 0.8) / 3)
    assert brier_score(probabilities, right) == pytest.approx((0.25 + 0.04 + 0.04) / 3)
    assert np.isnan([f(np.array([]), np.array([], bool)) for f in (log_loss, brier_score, calibration_error)]).all()


def test_bins_hold_equal_numbers_and_do_not_part_equal_probabilities():
    probabilities = np.r_[np.full(6, 0.1), np.full(4, 0.3), np.full(10, 0.9)]
    right = np.r_[np.zeros(6), np.ones(2), np.zeros(2), np.ones(9), 0].astype(bool)
    first, second, third = reliability_bins(probabilities, right, 4)
    # Ends at 5, 10, 15, 20 move to 6, 10, 20, 20.
    assert [(each.count, each.predicted, each.seen) for each in (first, second, third)] == [
        (6, pytest.approx(0.1), 0.0), (4, pytest.approx(0.3), 0.5), (10, pytest.approx(0.9), 0.9)]
    assert calibration_error(probabilities, right, 4) == pytest.approx((6 * 0.1 + 4 * 0.2 + 10 * 0) / 20)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_bins_hold_every_point_once(rows):
    probabilities, right = map(np.array, zip(*rows))
    bins = reliability_bins(probabilities.astype(float), right)
    assert sum(each.count for each in bins) == len(rows) and min(each.count for each in bins) >= 1
    assert all(0 <= each.low <= each.seen + 1e-9 and each.seen <= each.high + 1e-9 <= 1 + 1e-9 for each in bins)


def test_an_interval_by_the_book():
    # 81 of 263: Newcombe, Two-sided confidence intervals for the single proportion (1998), table I.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_the_picture_shows_bins_counts_and_a_curve_a_keypoint():
    random = np.random.default_rng(0)
    scores, points = random.normal(0.7, 0.2, 300), random.integers(0, 2, 300)
    right = random.random(300) < np.clip(scores, 0, 1)
    curves = (Curve("$nose$", 150, (0.3, 0.9), (0.2, 0.8)), Curve("_尾", 0, (0.5,), (0.5,)))
    calibration = Calibration(curves, 0.05, "m", pictures=30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = draw_reliability(calibration, scores, right, points * 0, np.clip(scores, 0.01, 0.99))
        picture = Image.open(io.BytesIO(png(figure)))
    bins, counts, lines = figure.axes
    assert sum(patch.get_height() for patch in counts.patches) == 300
    assert "10 groups of about 30 points" in bins.get_legend().get_texts()[1].get_text()
    assert [text.get_text() for text in lines.get_legend().get_texts()] == [r"\$nose\$ (150)", " _尾 (0)"]
    assert np.interp(0.6, *lines.lines[0].get_data()) == pytest.approx(0.5)
    assert picture.size == (1430, 704) and "300 points of 30 pictures" in figure.get_suptitle()


def test_many_keypoints_have_no_legend():
    curves = tuple(Curve(str(number), 1, (0.5,), (0.5,)) for number in range(40))
    figure = draw_reliability(Calibration(curves, 0.1, "m"), np.array([0.5]), np.array([True]), np.array([0]),
                              np.array([0.5]))
    assert figure.axes[2].get_legend() is None and len(figure.axes[2].lines) == 40
