"""What raw scores are worth: curves from observations."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_tools.formats.calibration import Calibration
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.calibration.assess import apply_curves, assessment_table, choose_method, cross_validate
from pose_tools.inference.calibration.fit import (
    ISOTONIC,
    LOGISTIC,
    METHODS,
    PSEUDO_LABELS,
    Observations,
    fit_curves,
    fit_isotonic,
    fit_logistic,
    pool_adjacent_violators,
    smoothed_targets,
)

NAMES = KeypointSet(("car",), ("left", "right", "roof"), (("left", "right"),))


def observations(count, seed=0, keypoints=3, steep=8.0):
    """Scores that are right more often the higher they are, and each keypoint less often than the one before."""
    random = np.random.default_rng(seed)
    points, scores = random.integers(0, keypoints, count), random.normal(0.7, 0.25, count)
    truth = 1 / (1 + np.exp(-steep * (scores - 0.5 - 0.1 * points)))
    return Observations(scores, random.random(count) < truth, points, np.arange(count) // 4), truth


def test_pooling_by_hand():
    # 3, 2 -> 2.5; the 1 then pulls all three down to 2; the 4 stays.
    np.testing.assert_allclose(pool_adjacent_violators(np.array([3.0, 2, 1, 4]), np.ones(4)), [2, 2, 2, 4])
    # 4 of weight 1 and 1 of weight 2 make 2, which is not below the 1.5 before it.
    np.testing.assert_allclose(pool_adjacent_violators(np.array([1.5, 4, 1]), np.array([1.0, 1, 2])), [1.5, 2, 2])
    np.testing.assert_allclose(pool_adjacent_violators(np.array([0.0, 1, 1, 2]), np.ones(4)), [0, 1, 1, 2])


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 5)), min_size=1, max_size=12))
def test_pooling_gives_the_nearest_sequence_that_does_not_fall(pairs):
    values, weights = np.array(pairs).T
    found = pool_adjacent_violators(values, weights)
    assert (np.diff(found) >= -1e-9).all()
    assert np.average(found, weights=weights) == pytest.approx(np.average(values, weights=weights), abs=1e-9)
    # Min-max formula: the greatest over starts of the least over ends of the means between.
    places = range(len(values))
    mean = {(a, b): np.average(values[a:b + 1], weights=weights[a:b + 1]) for a in places for b in places[a:]}
    wanted = [max(min(mean[a, b] for b in places[i:]) for a in range(i + 1)) for i in places]
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_a_logistic_curve_is_found_again():
    random = np.random.default_rng(1)
    x = random.normal(size=20000)
    right = random.random(20000) < 1 / (1 + np.exp(-(0.5 + 1.5 * x)))
    assert fit_logistic(x, smoothed_targets(right)) == pytest.approx((0.5, 1.5), abs=0.06)


def test_a_logistic_curve_never_falls_and_survives_labels_that_all_agree():
    x = np.linspace(-1, 1, 50)
    level = fit_logistic(x, smoothed_targets(x < 0))  # the higher the score the worse: nothing to be had from it
    assert level == pytest.approx((0.0, 0.0), abs=1e-6)
    a, b = fit_logistic(x, smoothed_targets(np.ones(50, bool)))
    assert 1 / (1 + np.exp(-a)) == pytest.approx(51 / 52, abs=1e-6) and b == pytest.approx(0, abs=1e-4)


def test_a_narrow_prior_holds_and_a_wide_one_gives_way():
    x, right = np.linspace(-1, 1, 40), np.linspace(-1, 1, 40) > 0.2
    assert fit_logistic(x, right, (3.0, 1.0), (1e-4, 1e-4)) == pytest.approx((3.0, 1.0), abs=1e-3)
    assert fit_logistic(x, right, (3.0, 1.0), (10.0, 10.0))[0] < 0
    assert fit_logistic(x[:0], right[:0], (3.0, 1.0), (1.0, 1.0)) == pytest.approx((3.0, 1.0))


def test_an_isotonic_curve_by_hand():
    scores, right = np.array([1.0, 2, 3, 4]), np.array([False, True, False, True])
    # Four labels and four pseudo-labels of 1/2: targets 1/4, 3/4, 1/4, 3/4; the middle two are pooled at score 2.5.
    points, heights = fit_isotonic(scores, right, lambda s: np.full(len(s), 0.5), pseudo_labels=4)
    np.testing.assert_allclose(points, [1, 2.5, 4])
    np.testing.assert_allclose(heights, [0.25, 0.5, 0.75])


def test_equal_scores_count_together():
    points, heights = fit_isotonic(np.array([1.0, 1, 1, 2]), np.array([True, True, False, True]),
                                   lambda s: np.full(len(s), 0.5), pseudo_labels=0)
    np.testing.assert_allclose(points, [1, 2])
    np.testing.assert_allclose(heights, [2 / 3, 1])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(-2, 5), st.booleans(), st.integers(0, 2)), min_size=1, max_size=40),
       st.sampled_from(METHODS))
def test_any_observations_give_a_calibration_that_can_be_read_back(rows, method):
    scores, right, points = map(np.array, zip(*rows))
    observed = Observations(scores.astype(float), right, points, np.arange(len(rows)))
    calibration = Calibration(fit_curves(observed, NAMES, method), 0.05, method)
    assert Calibration.from_json(calibration.to_json()) == calibration  # so it rises, within 0 and 1
    for index, each in enumerate(calibration.curves):
        assert each.labels == int((points == index).sum())
        least = 1 / (each.labels + PSEUDO_LABELS + 2)
        assert each.probabilities[0] >= least * 0.999 and 1 - each.probabilities[-1] >= least * 0.999


def test_few_labels_lean_on_the_other_keypoints_and_many_do_not():
    observed, _ = observations(600)
    only = observed.of(observed.keypoints != 1)
    right = fit_curves(only, NAMES)[1]
    assert right.labels == 0
    # Without labels of its own it has the curve of its pair.
    left, middle = fit_curves(only, NAMES)[0], 0.6
    assert np.interp(middle, right.scores, right.probabilities) == pytest.approx(
        np.interp(middle, left.scores, left.probabilities), abs=0.12)
    few, many = (np.interp(0.7, *shown) for shown in (
        _curve_of("roof", 6), _curve_of("roof", 600)))
    assert many < 0.1 < few, "six wrong points among hundreds of right ones are not yet believed, six hundred are"


def _curve_of(name, wrong):
    """The curve of a keypoint all of whose points are wrong, while 300 of the others are right."""
    scores = np.r_[np.full(300, 0.7), np.full(wrong, 0.7)] + np.linspace(0, 1e-3, 300 + wrong)
    points = np.r_[np.arange(300) % 2, np.full(wrong, 2)]
    curve = fit_curves(Observations(scores, points != 2, points, np.arange(len(points))), NAMES)[2]
    assert curve.name == name
    return curve.scores, curve.probabilities


def test_cross_validation_lets_no_fit_see_the_picture_it_is_asked_about(monkeypatch):
    from pose_tools.inference.calibration import assess

    observed, _ = observations(400)
    seen = []
    fit = assess.fit_curves

    def watched(part, names, method):
        seen.append(set(part.pictures))
        return fit(part, names, method)

    monkeypatch.setattr(assess, "fit_curves", watched)
    found = cross_validate(observed, NAMES, 5)
    pictures = set(observed.pictures)
    held = [pictures - each for each in seen]
    assert len(held) == 5 and set().union(*held) == pictures and sum(map(len, held)) == len(pictures)
    assert ((found > 0) & (found < 1)).all()
    assert len(cross_validate(observed.of(observed.pictures < 2), NAMES, 5)) == 8


def test_the_method_is_the_one_that_other_pictures_agree_with():
    observed, truth = observations(3000)
    smooth = choose_method(observed, NAMES, 5)
    assert smooth.method == LOGISTIC and smooth.losses[LOGISTIC] < smooth.losses[ISOTONIC]
    # Right in one of five below 0.7 and in four of five above: no logistic curve has such a step.
    steps = np.random.default_rng(5).random(3000) < np.where(observed.scores < 0.7, 0.2, 0.8)
    stepped = choose_method(Observations(observed.scores, steps, observed.keypoints, observed.pictures), NAMES, 5)
    assert stepped.method == ISOTONIC and stepped.losses[ISOTONIC] == min(stepped.losses.values())
    assert len(stepped.probabilities) == 3000


def test_calibrated_scores_are_near_the_truth_on_other_data():
    observed, _ = observations(3000, seed=2)
    other, truth = observations(3000, seed=3)
    found = apply_curves(fit_curves(observed, NAMES), other)
    assert np.abs(found - truth).mean() < 0.04 < np.abs(np.clip(other.scores, 0, 1) - truth).mean()


def test_the_table_names_every_keypoint():
    observed, _ = observations(200, keypoints=2)
    lines = assessment_table(observed, cross_validate(observed, NAMES, 4), NAMES).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["left", "right", "roof", "all"]
    assert lines[4].split() == ["roof", "0", "-", "-", "-", "-", "-", "-"] and lines[5].split()[1] == "200"
