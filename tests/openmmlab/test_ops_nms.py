import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from reference.make_reference import KINDS, boxes_like, load

from pose_tools.openmmlab.ops import install, operator_backend

install()
from mmcv.ops import batched_nms, nms, nms_match, soft_nms  # noqa: E402

from pose_tools.openmmlab.ops import nms as ours  # noqa: E402
from pose_tools.openmmlab.ops import soft_nms as ours_soft  # noqa: E402

CASES = load(Path(__file__).parent / "reference" / "boxes.npz.gz")
NAMES = [f"{index}-{KINDS[index % len(KINDS)]}" for index in range(len(CASES))]
each_case = pytest.mark.parametrize("case", CASES, ids=NAMES)


beyond_compiled = pytest.mark.skipif(
    operator_backend()["nms"] == "compiled", reason="a compiled mmcv raises, crashes or rounds more here"
)


def tensors(case):
    return torch.from_numpy(case["boxes"]), torch.from_numpy(case["scores"])


def same_order(case):
    """Tensor.sort does not promise an order of equal scores: it depends on the processor and on torch."""
    return np.array_equal(tensors(case)[1].sort(0, True)[1].numpy(), case["order"])


def literal_nms(boxes, threshold, offset):
    """The loops of mmcv's nms.cpp, for boxes in the order of their scores."""
    number, kept, gone = np.float32, [], [False] * len(boxes)
    with np.errstate(all="ignore"):
        areas = (boxes[:, 2] - boxes[:, 0] + offset) * (boxes[:, 3] - boxes[:, 1] + offset)
        for i, box in enumerate(boxes):
            if gone[i]:
                continue
            kept.append(i)
            for j in range(i + 1, len(boxes)):
                w = max(number(0), min(box[2], boxes[j, 2]) - max(box[0], boxes[j, 0]) + number(offset))
                h = max(number(0), min(box[3], boxes[j, 3]) - max(box[1], boxes[j, 1]) + number(offset))
                gone[j] |= bool(w * h / (areas[i] + areas[j] - w * h) > number(threshold))
    return kept


@each_case
def test_greedy_nms_is_as_compiled(case):
    order = case["order"]
    kept = ours.greedy_nms(case["boxes"][order], float(case["threshold"]), int(case["offset"]))
    assert order[kept].tolist() == case["nms"].tolist()


@each_case
def test_nms_is_as_compiled(case):
    if not same_order(case):
        pytest.skip("this machine sorts equal scores in another order, and so would a compiled mmcv")
    boxes, scores = tensors(case)
    dets, kept = nms(boxes, scores, float(case["threshold"]), offset=int(case["offset"]))
    assert kept.tolist() == case["nms"].tolist() and kept.dtype == torch.int64
    np.testing.assert_array_equal(dets.numpy(), np.c_[case["boxes"], case["scores"]][case["nms"]])


@each_case
@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
def test_soft_nms_is_as_compiled(case, method):
    boxes, scores = tensors(case)
    threshold, sigma, min_score = (float(case[name]) for name in ("threshold", "sigma", "min_score"))
    dets, kept = soft_nms(boxes, scores, threshold, sigma, min_score, method, int(case["offset"]))
    assert kept.tolist() == case[f"soft_{method}"].tolist()
    np.testing.assert_allclose(dets.numpy(), case[f"soft_{method}_dets"], rtol=1e-6, atol=1e-7)


@each_case
def test_nms_match_is_as_compiled(case):
    boxes, scores = tensors(case)
    groups = nms_match(torch.cat([boxes, scores[:, None]], 1), float(case["threshold"]))
    if len(boxes) == 0:
        assert groups == []
        return
    if not same_order(case):
        pytest.skip("this machine sorts equal scores in another order, and so would a compiled mmcv")
    assert [len(group) for group in groups] == case["match_sizes"].tolist()
    assert torch.cat(groups).tolist() == case["match"].tolist()


@each_case
@pytest.mark.parametrize("split", [10000, 1])
def test_batched_nms_is_as_compiled(case, split):
    if len(case["boxes"]) == 0:
        pytest.skip("mmcv takes no empty batch")
    if not same_order(case):
        pytest.skip("this machine sorts equal scores in another order, and so would a compiled mmcv")
    config = {"type": "nms", "iou_threshold": float(case["threshold"]), "offset": int(case["offset"])}
    boxes, scores = tensors(case)
    dets, kept = batched_nms(boxes, scores, torch.from_numpy(case["labels"]), {**config, "split_thr": split})
    assert kept.tolist() == case[f"batched_{split}"].tolist()
    np.testing.assert_array_equal(dets.numpy(), case[f"batched_{split}_dets"])


def test_hand_computed_overlap():
    # 10 x 10 boxes moved by 5: intersection 50, union 150, overlap 1/3. With offset 1: 66 / 176 = 0.375.
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [100, 0, 110, 10]])
    scores = torch.tensor([0.5, 0.9, 0.1])
    assert nms(boxes, scores, 0.33)[1].tolist() == [1, 2]
    assert nms(boxes, scores, 0.34)[1].tolist() == [1, 0, 2]
    assert nms(boxes, scores, 0.34, offset=1)[1].tolist() == [1, 2]
    assert nms(boxes, scores, 0.375, offset=1)[1].tolist() == [1, 0, 2]  # suppressed only above


def test_soft_nms_hand_computed():
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10]])
    scores = torch.tensor([0.9, 0.6])
    assert soft_nms(boxes, scores, 0.3, method="linear")[0][:, 4].tolist() == pytest.approx([0.9, 0.4])
    assert soft_nms(boxes, scores, 0.3, method="naive")[1].tolist() == [0]
    lowered = soft_nms(boxes, scores, sigma=0.5, method="gaussian")[0][1, 4].item()
    assert lowered == pytest.approx(0.6 * np.exp(-(1 / 9) / 0.5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offset", [0, 1])
def test_several_passes_agree_with_plain_loops(kind, offset, monkeypatch):
    monkeypatch.setattr(ours, "_SHORTEST_PASS", 8)
    boxes = boxes_like(np.random.default_rng(3), kind, 90)
    for threshold in (0.0, 0.3, 0.5):
        found = ours.greedy_nms(boxes, threshold, offset)
        assert found.tolist() == literal_nms(boxes, threshold, offset)


def test_negative_threshold_leaves_one_box():
    boxes = torch.tensor([[0.0, 0, 1, 1], [50, 50, 51, 51], [9, 9, 12, 12]])
    assert nms(boxes, torch.tensor([0.1, 0.3, 0.2]), -0.5)[1].tolist() == [1]


def test_score_threshold_and_max_num():
    boxes = torch.arange(5.0)[:, None] * 100 + torch.tensor([0.0, 0, 10, 10])
    scores = torch.tensor([0.1, 0.9, 0.3, 0.8, 0.5])
    assert nms(boxes, scores, 0.5, score_threshold=0.2)[1].tolist() == [1, 3, 4, 2]
    assert nms(boxes, scores, 0.5, score_threshold=0.2, max_num=2)[1].tolist() == [1, 3]
    dets, kept = nms(boxes.numpy(), scores.numpy(), 0.5, score_threshold=2.0)
    assert dets.shape == (0, 5) and len(kept) == 0


@beyond_compiled
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_types(dtype):
    boxes = torch.tensor([[0, 0, 8, 8], [0, 0, 8, 7], [16, 0, 24, 8]], dtype=dtype)
    scores = torch.tensor([0.25, 0.5, 0.125], dtype=dtype)
    assert nms(boxes, scores, 0.5)[1].tolist() == [1, 2]
    dets, kept = soft_nms(boxes, scores, 0.5, method="linear")
    assert kept.tolist() == [1, 2, 0] and dets[2, 4].item() == pytest.approx(0.25 / 8, rel=1e-2)


def test_inputs_are_left_alone():
    boxes = torch.from_numpy(boxes_like(np.random.default_rng(0), "clustered", 40)).requires_grad_()
    scores = torch.rand(40, generator=torch.Generator().manual_seed(0))
    copies = boxes.detach().clone(), scores.clone()
    nms(boxes, scores, 0.5)
    soft_nms(boxes, scores, 0.5, method="gaussian")
    assert torch.equal(boxes.detach(), copies[0]) and torch.equal(scores, copies[1])


@pytest.mark.parametrize("kind", ["random", "clustered", "identical"])
def test_ten_thousand_boxes(kind):
    rng = np.random.default_rng(1)
    boxes = torch.from_numpy(boxes_like(rng, kind, 10000))
    scores = torch.from_numpy(rng.random(10000).astype(np.float32))
    nms(boxes[:10], scores[:10], 0.65)
    tracemalloc.start()
    try:
        nms(boxes, scores, 0.65)
        memory = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    start = time.process_time()
    nms(boxes, scores, 0.65)
    assert time.process_time() - start < 5  # 0.3 s measured; a matrix of pairs took 11
    assert memory < 20e6  # bytes; a matrix of pairs takes 4e8


def test_soft_nms_of_equal_scores_follows_the_swaps():
    # Ten boxes of one score, two of them equal to the first: these go, and the last two take their places.
    boxes = torch.arange(10.0)[:, None] * 100 + torch.tensor([0.0, 0, 10, 10])
    boxes[[1, 3]] = boxes[0].clone()
    kept = soft_nms(boxes, torch.full((10,), 0.5), 0.5, min_score=0.1, method="naive")[1]
    assert kept.tolist() == [0, 9, 2, 8, 4, 5, 6, 7]


def test_best_takes_the_first_of_equals_and_no_nan():
    nan = float("nan")
    assert ours_soft._best(np.array([1.0, 3.0, 3.0])) == 1
    assert ours_soft._best(np.array([1.0, nan, 3.0])) == 2
    assert ours_soft._best(np.array([nan, 3.0])) == 0
