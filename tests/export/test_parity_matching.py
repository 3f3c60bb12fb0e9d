"""Detections of two models are paired one to one, and what NMS decides by rounding is told from faults."""
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pose_tools.export.parity.matching import Detections, match

EQUAL = 0.002


def detections(*rows):
    """From (x1, y1, x2, y2, score, label)."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(int))


def matched(first, second, near=0.05):
    return match(first, second, 0.05, 0.65, EQUAL, near)


def test_the_order_of_detections_does_not_matter():
    a, b = (0, 0, 10, 10, 0.9, 0), (20, 0, 30, 10, 0.8, 0)
    found = matched(detections(a, b), detections(b, a))
    assert sorted(found.pairs.tolist()) == [[0, 1], [1, 0]]
    assert not len(found.missing) and not len(found.added) and not found.tied_pairs.any()


def test_the_largest_overlap_is_paired_first_and_each_at_most_once():
    # Both of the first overlap the one of the second; the exact one gets it.
    first = detections((0, 0, 10, 12, 0.9, 0), (0, 0, 10, 10, 0.5, 0))
    found = matched(first, detections((0, 0, 10, 10, 0.9, 0)))
    assert found.pairs.tolist() == [[1, 0]] and found.missing.tolist() == [0]


def test_another_label_is_no_partner():
    found = matched(detections((0, 0, 10, 10, 0.9, 0)), detections((0, 0, 10, 10, 0.9, 1)))
    assert not len(found.pairs) and found.missing.tolist() == [0] and found.added.tolist() == [0]
    assert not found.tied_missing.any() and not found.tied_added.any()


def test_a_weak_partner_serves_and_weak_ones_need_none():
    first = detections((0, 0, 10, 10, 0.0501, 0), (50, 50, 60, 60, 0.01, 0))
    found = matched(first, detections((0, 0, 10, 10, 0.0499, 0), (80, 80, 90, 90, 0.02, 0)))
    assert found.pairs.tolist() == [[0, 0]] and not len(found.missing) and not len(found.added)


def test_nothing_on_one_side_or_both():
    one, none = detections((0, 0, 10, 10, 0.9, 0)), detections()
    assert matched(one, none).missing.tolist() == [0] and not matched(one, none).tied_missing.any()
    assert matched(none, one).added.tolist() == [0] and not len(matched(none, none).pairs)


def test_two_boxes_of_almost_the_same_score_of_which_one_survives_are_a_tie():
    # IoU 100 / 130 = 0.77, above the threshold of 0.65: whichever is first drops the other.
    tie = matched(detections((0, 0, 10, 10, 0.900, 0)), detections((0, 0, 10, 13, 0.901, 0)))
    assert tie.tied_pairs.tolist() == [True]
    near = matched(detections((0, 0, 10, 10, 0.900, 0)), detections((0, 0, 10, 13, 0.901, 0)), near=3.5)
    assert near.tied_pairs.tolist() == [False], "3 px are within what is allowed, and so counted"
    fault = matched(detections((0, 0, 10, 10, 0.9, 0)), detections((0, 0, 10, 13, 0.8, 0)))
    assert fault.tied_pairs.tolist() == [False], "such different scores have an order"
    moved = matched(detections((0, 0, 10, 10, 0.9, 0)), detections((0, 0, 10, 16, 0.9, 0)))
    assert moved.tied_pairs.tolist() == [False], "an IoU of 0.625 would have left both"


def test_a_box_at_the_threshold_of_nms_may_be_missing():
    better, weaker = (0, 0, 10, 10, 0.9, 0), (0, 0, 10, 15.38, 0.5, 0)  # IoU 0.6502
    found = matched(detections(better, weaker), detections(better))
    assert found.missing.tolist() == [1] and found.tied_missing.tolist() == [True]


def test_another_threshold_of_nms_is_no_tie():
    better, weaker = (0, 0, 10, 10, 0.9, 0), (0, 0, 10, 17, 0.5, 0)  # IoU 0.588
    lower = matched(detections(better, weaker), detections(better))
    assert lower.missing.tolist() == [1] and lower.tied_missing.tolist() == [False]
    close = (0, 0, 10, 12, 0.5, 0)  # IoU 0.833: the second model keeps what its threshold should have dropped
    higher = matched(detections(better), detections(better, close))
    assert higher.added.tolist() == [1] and higher.tied_added.tolist() == [False]


boxes = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 30), st.integers(1, 30),
                  st.floats(0.06, 1), st.integers(0, 2)).map(lambda v: (v[0], v[1], v[0] + v[2], v[1] + v[3], *v[4:]))


@given(st.lists(boxes, max_size=8), st.lists(boxes, max_size=8))
def test_every_strong_detection_is_paired_or_alone(a, b):
    found = matched(detections(*a), detections(*b))
    assert sorted([*found.pairs[:, 0], *found.missing]) == list(range(len(a)))
    assert sorted([*found.pairs[:, 1], *found.added]) == list(range(len(b)))


@given(st.lists(boxes, max_size=8))
def test_a_model_agrees_with_itself(a):
    found = matched(detections(*a), detections(*a))
    assert len(found.pairs) == len(a) and not len(found.missing) and not len(found.added)
    same = detections(*a)
    assert (same.boxes[found.pairs[:, 0]] == same.boxes[found.pairs[:, 1]]).all()
