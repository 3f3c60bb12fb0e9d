"""NMS of the exported graphs, as ONNX nodes and as TorchScript."""
import dataclasses

import numpy as np
import pytest
import torch
from export_models import session
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_tools.export.suppression import add_suppression
from pose_tools.openmmlab.graphs.models import Suppression
from pose_tools.openmmlab.graphs.suppression import SuppressedDetector, greedy_detections

RULES = Suppression(score_threshold=0.1, iou_threshold=0.5, max_per_image=3, class_agnostic=False)
#          10 x 10,          moved by 2: IoU 80/120 = 0.67, elsewhere,       of no height
BOXES = [[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 70], [5, 5, 9, 5]]
SCORES = [[0.9, 0.8, 0.1, 0.05], [0.3, 0.7, 0.2, 0.0]]


def suppress(boxes, scores, rules):
    """Detections of boxes (N, P, 4) and scores (N, C, P) by ONNX Runtime, with N free in the graph."""
    from onnx import TensorProto, checker, helper

    shapes = {"boxes": ["batch", boxes.shape[1], 4], "scores": ["batch", *scores.shape[1:]]}
    ins = [helper.make_tensor_value_info(f"{name}_in", TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    outs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    nodes = [helper.make_node("Identity", [f"{name}_in"], [name]) for name in shapes]
    model = helper.make_model(helper.make_graph(nodes, "g", ins, outs), opset_imports=[helper.make_opsetid("", 17)],
                              ir_version=8)
    add_suppression(model, rules)
    checker.check_model(model, full_check=True)
    return session(model).run(None, {"boxes_in": boxes, "scores_in": scores})


def scripted(boxes, scores, rules):
    dets, labels = SuppressedDetector(Given(torch.from_numpy(boxes), torch.from_numpy(scores)), rules)(torch.zeros(1))
    return dets.numpy(), labels.numpy()


class Given(torch.nn.Module):
    def __init__(self, *outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, _images):
        return self.outputs


WAYS = pytest.mark.parametrize("way", [suppress, scripted])


def batch(boxes=BOXES, scores=SCORES, count=1):
    return np.repeat(np.float32([boxes]), count, 0), np.repeat(np.float32([scores]), count, 0)


@WAYS
def test_by_hand(way):
    """Of class 0 the first drops the second, and 0.1 is not above 0.1; of class 1 the second drops the first."""
    dets, labels = way(*batch(), RULES)
    np.testing.assert_allclose(dets[0], [[0, 0, 10, 10, 0.9], [2, 0, 12, 10, 0.7], [50, 50, 60, 70, 0.2]], rtol=1e-6)
    assert labels.tolist() == [[0, 1, 1]] and labels.dtype == np.int64


@WAYS
def test_classes_compete_where_the_config_says_so(way):
    dets, labels = way(*batch(), dataclasses.replace(RULES, class_agnostic=True))
    np.testing.assert_allclose(dets[0], [[0, 0, 10, 10, 0.9], [50, 50, 60, 70, 0.2], [0] * 5], rtol=1e-6)
    assert labels.tolist() == [[0, 1, -1]]


@WAYS
def test_an_overlap_of_exactly_the_threshold_stays(way):
    boxes = [[0, 0, 10, 10], [0, 0, 10, 5]]  # IoU 0.5
    assert way(*batch(boxes, [[0.9, 0.8]]), RULES)[1].tolist() == [[0, 0]]  # M is 2: there are no more boxes
    assert way(*batch(boxes, [[0.9, 0.8]]), dataclasses.replace(RULES, iou_threshold=0.499))[1].tolist() == [[0, -1]]


@WAYS
def test_images_do_not_see_each_other(way):
    boxes, scores = batch(count=3)
    scores[1] = 0  # nothing there
    boxes[2] += 100
    dets, labels = way(boxes, scores, RULES)
    assert labels.tolist() == [[0, 1, 1], [-1, -1, -1], [0, 1, 1]] and not dets[1].any()
    np.testing.assert_allclose(dets[2, :, :4], dets[0, :, :4] + 100)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 60), st.booleans())
def test_both_ways_find_what_mmcv_finds(seed, classes, count, agnostic):
    from pose_tools.openmmlab.ops import install

    install()
    from mmcv.ops import batched_nms

    random = np.random.default_rng(seed)
    # Whole numbers: overlaps are far from the threshold or exactly at it, whatever the order of roundings.
    corners = random.integers(0, 20, (1, count, 2))
    boxes = np.concatenate([corners, corners + random.integers(1, 20, (1, count, 2))], -1).astype(np.float32)
    scores = random.permutation(np.linspace(0.01, 1, classes * count)).reshape(1, classes, count).astype(np.float32)
    rules = Suppression(0.3, 0.37, 10, agnostic)
    label, place = np.nonzero(scores[0] > np.float32(0.3))
    chosen = torch.from_numpy(boxes[0, place]), torch.from_numpy(scores[0, label, place]), torch.from_numpy(label)
    expected = np.zeros((0, 5)), []
    if len(label):
        dets, keep = batched_nms(*chosen, {"type": "nms", "iou_threshold": 0.37, "class_agnostic": agnostic})
        expected = dets.numpy()[:10], label[keep.numpy()[:10]].tolist()
    for way in (suppress, scripted):
        dets, labels = way(boxes, scores, rules)
        number = len(expected[0])
        assert dets.shape[1] == min(10, classes * count)
        np.testing.assert_array_equal(dets[0, :number], expected[0])
        assert labels[0].tolist() == [*expected[1], *[-1] * (dets.shape[1] - number)]
        assert not dets[0, number:].any()


def test_the_loop_is_the_same_when_compiled():
    boxes, scores = (torch.from_numpy(each) for each in batch(count=2))
    plain = greedy_detections(boxes, scores, 0.1, 0.5, 3, False)
    compiled = torch.jit.script(greedy_detections)(boxes, scores, 0.1, 0.5, 3, False)
    assert all(torch.equal(first, second) for first, second in zip(plain, compiled))
