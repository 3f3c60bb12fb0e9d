"""SimCC rows become keypoints as upstream's do."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pose_tools.inference.runtime.simcc import average_mirrored, simcc_to_keypoints


def test_the_highest_bin_is_the_place_and_the_lower_maximum_the_score():
    x = np.array([[[0, 3, 1, 0], [0, 0, 0, 2]]], np.float32)
    y = np.array([[[5, 0], [0, 0.5]]], np.float32)
    keypoints, scores = simcc_to_keypoints(x, y, 2.0)
    assert keypoints.tolist() == [[[0.5, 0], [1.5, 0.5]]]
    assert scores.tolist() == [[3, 0.5]]


def test_without_a_positive_maximum_nothing_was_found():
    keypoints, scores = simcc_to_keypoints(np.full((1, 1, 4), -1.0), np.ones((1, 1, 4)), 2.0)
    assert keypoints.tolist() == [[[-0.5, -0.5]]]
    assert scores.tolist() == [[-1]]


def test_the_flip_test_swaps_sides_and_turns_x_round():
    x, y = np.zeros((1, 2, 3), np.float32), np.ones((1, 2, 2), np.float32)
    mirrored_x = np.array([[[2, 0, 0], [0, 4, 0]]], np.float32)
    mirrored_y = np.array([[[3, 1], [1, 1]]], np.float32)
    average_x, average_y = average_mirrored((x, y), (mirrored_x, mirrored_y), (1, 0))
    assert average_x.tolist() == [[[0, 2, 0], [0, 0, 1]]]
    assert average_y.tolist() == [[[1, 1], [2, 1]]]


@pytest.mark.slow
@pytest.mark.usefixtures("openmmlab")
@settings(deadline=None)
@given(st.integers(1, 3).flatmap(lambda n: st.tuples(
    arrays(np.float32, (n, 4, 10), elements=st.floats(-1, 2, width=32)),
    arrays(np.float32, (n, 4, 6), elements=st.floats(-1, 2, width=32)))))
def test_places_and_scores_are_those_of_upstream(rows):
    from mmpose.codecs.utils import get_simcc_maximum

    keypoints, scores = simcc_to_keypoints(*rows, 2.0)
    expected, expected_scores = get_simcc_maximum(*(each.copy() for each in rows))
    np.testing.assert_array_equal(keypoints, expected / 2)
    np.testing.assert_array_equal(scores, expected_scores)
