import numpy as np
import pytest

from pose_tools.formats.boxes import areas_xyxy, iou_xywh, iou_xyxy, paired_iou


def test_iou_by_hand():
    # 10x10 at the origin against one shifted by 5: 50 shared, 150 together. An empty box overlaps nothing.
    got = iou_xywh(np.array([[0, 0, 10, 10]]), np.array([[5, 0, 10, 10], [0, 0, 10, 10], [3, 3, 0, 0], [20, 0, 5, 5]]))
    assert got == pytest.approx(np.array([[1 / 3, 1.0, 0.0, 0.0]]))


def test_pair_by_pair():
    others = np.array([[5, 0, 10, 10], [20, 20, 1, 1], [0, 0, 10, 10]])
    assert paired_iou(np.array([[0, 0, 10, 10]] * 3), others) == pytest.approx(np.array([1 / 3, 0, 1]))


def test_corners_and_sides_say_the_same():
    a, b = np.array([[0, 0, 10, 10], [5, 5, 5, 5]]), np.array([[5, 0, 15, 10], [8, 8, 2, 2]])
    assert iou_xyxy(a, b) == pytest.approx(np.array([[50 / 150, 0], [0, 0]]))
    assert iou_xyxy(a[:1], b[:1]) == pytest.approx(iou_xywh([[0, 0, 10, 10]], [[5, 0, 10, 10]]))
    assert list(areas_xyxy(b)) == [100, 0]
    assert iou_xyxy([], b).shape == (0, 2)
