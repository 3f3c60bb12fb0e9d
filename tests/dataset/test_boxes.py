import numpy as np
import pytest

from pose_tools.dataset.boxes import iou_xywh, paired_iou


def test_iou_by_hand():
    # 10x10 at the origin against one shifted by 5: 50 shared, 150 together. An empty box overlaps nothing.
    got = iou_xywh(np.array([[0, 0, 10, 10]]), np.array([[5, 0, 10, 10], [0, 0, 10, 10], [3, 3, 0, 0], [20, 0, 5, 5]]))
    assert got == pytest.approx(np.array([[1 / 3, 1.0, 0.0, 0.0]]))


def test_pair_by_pair():
    others = np.array([[5, 0, 10, 10], [20, 20, 1, 1], [0, 0, 10, 10]])
    assert paired_iou(np.array([[0, 0, 10, 10]] * 3), others) == pytest.approx(np.array([1 / 3, 0, 1]))
