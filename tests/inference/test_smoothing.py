"""The One-Euro filter: the paper's numbers, resolution, lag, weak and missing keypoints, objects that come back."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from track_world import box_at, keypoints_in

from pose_tools.inference.tracking import Smoother, SmoothOptions

RATE = 30.0
ONE = np.array([1])


def smooth(paths, boxes, scores=None, options=None, times=None, rate=RATE):
    """(T, K, 2) keypoints and (T, 4) boxes of one object; both smoothed."""
    smoother, points, around = Smoother(rate, options=options), [], []
    for t, (path, box) in enumerate(zip(paths, boxes)):
        score = np.ones((1, path.shape[0])) if scores is None else scores[t][None]
        k, b = smoother(ONE, path[None], score, box[None], None if times is None else times[t])
        points.append(k[0])
        around.append(b[0])
    return np.array(points), np.array(around)


def moving(speed, frames, size=100.0, scale=1.0):
    """An object of a size, px, at a speed, sizes per second, in x; its keypoints and boxes."""
    boxes = np.array([box_at(size * speed * n / RATE, 0, size, size) for n in range(frames)]) * scale
    return np.array([keypoints_in(box) for box in boxes]), boxes


def test_a_step_by_the_equations_of_the_paper():
    """Size 100, one keypoint that moves 10 px in the second frame.

    Speed 300 px/s, share of the new for 1 Hz at 30 Hz: 2 pi / 30 = 0.20944, / 1.20944 = 0.17317; filtered speed 51.95
    px/s = 0.5195 sizes/s; cutoff 1 + 2 * 0.5195 = 2.039 Hz; share 0.42705 / 1.42705 = 0.29925.
    """
    options = SmoothOptions(1.0, 2.0, 1.0, max_lag=1.0, follow=False)
    boxes = np.array([box_at(0, 0, 100, 100)] * 2)
    points, _ = smooth(np.array([[[0, 0.0]], [[10, 0.0]]]), boxes, options=options)
    assert points[1, 0] == pytest.approx([2.9925, 0], abs=1e-3)


@given(st.floats(0.02, 50), st.integers(0, 10 ** 6))
@settings(max_examples=25, deadline=None)
def test_a_setting_means_the_same_for_any_resolution(scale, seed):
    paths, boxes = moving(1.0, 12)
    paths = paths + np.random.default_rng(seed).normal(0, 3, paths.shape)
    points, around = smooth(paths, boxes)
    scaled, scaled_around = smooth(paths * scale, boxes * scale)
    assert scaled == pytest.approx(points * scale, rel=1e-6, abs=1e-6 * scale)
    assert scaled_around == pytest.approx(around * scale, rel=1e-6, abs=1e-6 * scale)


@given(st.integers(0, 10 ** 6), st.floats(0, 20), st.sampled_from([0.02, 0.05]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_no_keypoint_is_moved_farther_than_the_stated_bound(seed, speed, bound, follow):
    """Whatever it does: 5 % of the size of its box, which itself is smoothed by no more than that in size."""
    rng = np.random.default_rng(seed)
    paths, boxes = moving(speed, 20)
    paths = paths + rng.normal(0, 30, (20, 1, 2)).cumsum(axis=0)
    points, _ = smooth(paths, boxes, options=SmoothOptions(max_lag=bound, follow=follow))
    assert np.linalg.norm(points - paths, axis=2).max() <= bound * 100 * 1.0001


def test_an_object_in_steady_motion_does_not_lag_at_all_and_in_the_papers_filter_by_a_known_share():
    """A second after the start; the paper's filter lags by less than 1 / (2 pi beta) sizes, 3.2 % for beta 5."""
    for speed in (0.5, 3.0, 10.0):
        paths, boxes = moving(speed, 90)
        points, _ = smooth(paths, boxes, options=SmoothOptions(max_lag=1.0))
        assert np.linalg.norm(points - paths, axis=2)[45:].max() < 0.1
        plain, _ = smooth(paths, boxes, options=SmoothOptions(max_lag=1.0, follow=False))
        lag = np.linalg.norm(plain - paths, axis=2)[45:]
        assert 1.0 < lag.max() < 100 / (2 * np.pi * 5)


@pytest.mark.parametrize(("speed", "least"), [(0.0, 3.0), (2.0, 2.5)])
def test_noise_of_two_percent_becomes_a_third_of_it(speed, least):
    paths, boxes = moving(speed, 300)
    noisy = paths + np.random.default_rng(0).normal(0, 2, paths.shape)
    points, _ = smooth(noisy, boxes)
    shaken, steady = (np.abs(np.diff(each - paths, 2, axis=0)).mean() for each in (noisy, points))
    assert shaken > least * steady
    assert np.abs(points - paths).mean() < np.abs(noisy - paths).mean()


def test_a_weak_keypoint_goes_with_the_object_and_not_where_it_was_seen():
    paths, boxes = moving(1.0, 40)
    scores, wrong = np.ones((40, 4)), paths.copy()
    scores[20:25, 2], wrong[20:25, 2] = 0.0, (500, 500)
    points, _ = smooth(wrong, boxes, scores)
    assert np.linalg.norm(points[20:25, 2] - paths[20:25, 2], axis=1).max() < 2
    scores[20:25, 2] = 0.03  # a tenth of the threshold: a hundredth of the trust
    points, _ = smooth(wrong, boxes, scores)
    assert np.linalg.norm(points[20:25, 2] - paths[20:25, 2], axis=1).max() < 40


def test_a_keypoint_that_is_nowhere_appears_where_it_is_first_seen():
    paths, boxes = moving(0.0, 4)
    paths[:2, 0] = np.nan
    points, around = smooth(paths, boxes)
    assert np.isnan(points[:2, 0]).all() and points[2:, 0] == pytest.approx(paths[2:, 0])
    assert np.isfinite(points[:, 1:]).all() and np.isfinite(around).all()


@pytest.mark.parametrize(("gap", "starts_anew"), [(2, False), (7, False), (9, True), (60, True)])
def test_an_object_that_was_away_for_longer_than_a_quarter_second_starts_anew(gap, starts_anew):
    smoother, box = Smoother(RATE), box_at(0, 0, 100, 100)
    points = keypoints_in(box)[None]
    smoother(ONE, points, np.ones((1, 4)), box[None])
    for _ in range(gap - 1):
        smoother(np.zeros(0, int), np.zeros((0, 4, 2)), np.zeros((0, 4)), np.zeros((0, 4)))
    again, _ = smoother(ONE, points + 2, np.ones((1, 4)), box[None])
    assert (again == pytest.approx(points + 2)) is starts_anew


def test_objects_do_not_mix_and_the_types_given_come_back():
    alone, boxes = moving(1.0, 10)
    expected, _ = smooth(alone, boxes)
    smoother = Smoother(RATE)
    for n in range(10):
        pair = np.array([alone[n] + 1000, alone[n]], np.float32)
        order = np.array([7, 1]) if n % 2 else np.array([1, 7])
        pair = pair if n % 2 else pair[::-1]
        around = np.array([boxes[n] + (1000 if i == 7 else 0) for i in order], np.float32)
        points, got = smoother(order, pair, np.ones((2, 4)), around)
        assert points[order == 1][0] == pytest.approx(expected[n], abs=1e-3)
        assert (points.dtype, got.dtype) == (np.float32, np.float32)


def test_frames_of_one_time_and_time_that_runs_back():
    paths, boxes = moving(0.5, 6)
    points, around = smooth(paths, boxes, times=[0, 0.1, 0.1, 0.2, 0.0, 0.1])
    assert np.isfinite(points).all() and np.isfinite(around).all()
    assert points[4] == pytest.approx(paths[4])  # another beginning
    with pytest.raises(ValueError, match="frame rate"):
        Smoother(float("nan"))
