"""MOTA, IDF1 and jitter by hand, and as TrackEval 1.0 computes them."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_tools.report.tracking_metrics import TrackFrame, keypoint_motion, tracking_score


def boxes(*lefts, shift=0.0):
    """Boxes 10 px wide and high at y 0."""
    return np.array([[x + shift, 0, x + 10 + shift, 10] for x in lefts], float).reshape(-1, 4)


def frame(truth, found, ignore=()):
    """From {id: left edge} of truth and prediction."""
    return TrackFrame(np.array(list(truth), int), boxes(*truth.values()), np.array(list(found), int),
                      boxes(*found.values()), np.array([name in ignore for name in truth], bool))


def test_a_video_by_hand():
    """One object: found as 7, as 7, not, as 8, as 8; another stands still, found as 9; once a wrong box."""
    frames = [frame({1: 0, 2: 100}, {7: 0, 9: 100}), frame({1: 0, 2: 100}, {7: 2, 9: 100}),
              frame({1: 0, 2: 100}, {9: 100, 5: 50}), frame({1: 0, 2: 100}, {8: 0, 9: 100}),
              frame({1: 0, 2: 100}, {8: 0, 9: 100})]
    score = tracking_score(frames)
    assert (score.truths, score.matches, score.misses, score.false_positives) == (10, 9, 1, 1)
    assert (score.switches, score.fragmentations) == (1, 1)
    assert score.mota == pytest.approx(1 - 3 / 10)
    # A box 2 px beside its 10 px: 8 / 12.
    assert score.motp == pytest.approx((8 + 8 / 12) / 9)
    # Either 7 or 8 is the id of object 1, with two matches; 9 that of object 2, with five.
    assert (score.id_matches, score.idf1) == (7, pytest.approx(14 / 20))


def test_two_ids_that_change_places_are_two_switches():
    frames = [frame({1: 0, 2: 50}, {1: 0, 2: 50})] * 2 + [frame({1: 0, 2: 50}, {2: 0, 1: 50})] * 2
    score = tracking_score(frames)
    assert (score.switches, score.fragmentations, score.mota, score.idf1) == (2, 0, 1 - 2 / 8, 0.5)


def test_what_was_matched_stays_matched_though_another_box_fits_better():
    frames = [frame({1: 0}, {7: 0}), frame({1: 0}, {7: 3, 8: 0})]
    assert tracking_score(frames).switches == 0


def test_ignored_objects_and_what_is_found_of_them_do_not_count():
    frames = [frame({1: 0, 2: 50}, {7: 0, 8: 50}, ignore=(2,)), frame({1: 0, 2: 50}, {7: 0}, ignore=(2,))]
    score = tracking_score(frames)
    assert (score.truths, score.predictions, score.false_positives, score.mota, score.idf1) == (2, 2, 0, 1, 1)


def test_nothing_to_divide_by():
    score = tracking_score([frame({}, {}), frame({}, {3: 0})])
    assert score.false_positives == 1 and np.isnan(score.mota) and np.isnan(score.motp) and score.idf1 == 0
    assert np.isnan(tracking_score([]).idf1)
    assert tracking_score([frame({1: 0}, {})]).mota == 0


def test_scores_of_videos_add_up():
    one, two = tracking_score([frame({1: 0}, {1: 0})]), tracking_score([frame({1: 0}, {1: 30})])
    both = one + two
    assert (both.mota, both.motp, both.idf1) == (0.0, 1.0, 0.5)


def wandering(seed):
    """Objects that walk about, found late, under changing ids, among wrong boxes."""
    rng, frames = np.random.default_rng(seed), []
    count = int(rng.integers(1, 5))
    place, speed = rng.uniform(0, 40, (count, 2)), rng.normal(0, 3, (count, 2))
    for _ in range(int(rng.integers(2, 30))):
        place = place + speed
        there, seen = (np.flatnonzero(rng.uniform(size=count) < share) for share in (0.85, 0.8))
        found = np.c_[place[seen], place[seen] + 20] + rng.normal(0, 2, (len(seen), 4))
        names = seen + 10
        if rng.uniform() < 0.15 and len(names) > 1:
            names = rng.permutation(names)
        if rng.uniform() < 0.1:
            names = names + rng.integers(5, 9)
        if rng.uniform() < 0.2:
            found, names = np.r_[found, [[5, 5, 22, 22]]], np.r_[names, 99]
        frames.append(TrackFrame(there, np.c_[place[there], place[there] + 20].reshape(-1, 4), names, found))
    return frames


@pytest.mark.parametrize(("seed", "counts", "mota", "motp", "idf1"), [
    (0, (51, 15, 11, 14, 17), 0.3548387, 0.7402464, 0.6875000),
    (9, (36, 9, 10, 14, 9), 0.2826087, 0.7341397, 0.6153846),
    (14, (17, 13, 1, 0, 1), 0.2222222, 0.7515849, 0.7083333),
    (28, (46, 16, 13, 10, 12), 0.3389831, 0.7407892, 0.6611570),
])
def test_the_same_numbers_as_trackeval(seed, counts, mota, motp, idf1):
    """Computed by CLEAR and Identity of trackeval 1.0.0 from the same frames; 300 such videos agreed."""
    score = tracking_score(wandering(seed))
    assert (score.matches, score.false_positives, score.misses, score.switches, score.fragmentations) == counts
    assert (score.mota, score.motp, score.idf1) == pytest.approx((mota, motp, idf1), abs=1e-6)


def moved(errors, speed=7.0, visible=2):
    """A box of 20 x 5 px, size 10, with one keypoint off by ``errors`` (T, 2) px, moving along."""
    frames = []
    for t, error in enumerate(errors):
        box = np.array([[speed * t, 0, speed * t + 20, 5.0]])
        truth = np.array([[[speed * t, 0, visible]]], float)
        frames.append(TrackFrame(np.array([1]), box, np.array([4]), box, truth_keypoints=truth,
                                 keypoints=truth[..., :2] + error))
    return frames


def test_jitter_by_hand():
    """Errors 0, 1, 0, 0 px in x: second differences -2 and 1, of a size of 10."""
    motion = keypoint_motion(moved(np.array([[0, 0], [1, 0], [0, 0], [0, 0.0]])))
    assert (motion.jitter, motion.triples, motion.points) == (pytest.approx(0.15), 2, 4)
    assert motion.error == pytest.approx(0.025)
    assert np.isnan(keypoint_motion(moved(np.zeros((4, 2)), visible=0)).jitter)


@given(st.floats(-3, 3), st.floats(-1, 1), st.floats(-9, 9))
@settings(max_examples=30, deadline=None)
def test_motion_offsets_and_drift_are_no_jitter(offset, drift, speed):
    errors = np.array([[offset + drift * t, 0] for t in range(6)])
    assert keypoint_motion(moved(errors, speed)).jitter == pytest.approx(0, abs=1e-9)


def test_independent_noise_has_the_jitter_stated():
    """3.07 standard deviations: the mean length of a vector of two normals of variance 6."""
    motion = keypoint_motion(moved(np.random.default_rng(0).normal(0, 0.1, (4000, 2))))
    assert motion.jitter == pytest.approx(0.01 * np.sqrt(6 * np.pi / 2), rel=0.03)
