"""PosePredictor gives what inference_detector and inference_topdown give, from the same weights."""
import numpy as np
import pytest
from test_runtime_upstream import (  # noqa: F401  # checkpoint is a fixture
    PICTURES,
    by_exponent,
    checkpoint,
    no_padding,
    picture,
    strict,
    upstream_keypoints,
    use_udp,
    wide,
    with_dark,
)

from pose_tools import PosePredictor

pytestmark = pytest.mark.slow


def upstream_boxes(path):
    from mmdet.apis import inference_detector, init_detector
    from mmengine.registry import DefaultScope

    from pose_tools.inference.runtime.torch_facts import read_checkpoint_config

    with DefaultScope.overwrite_default_scope("mmdet"):
        model = init_detector(read_checkpoint_config(path)[0], str(path), device="cpu")

    def find(image, least):
        with DefaultScope.overwrite_default_scope("mmdet"):
            found = inference_detector(model, image).pred_instances.cpu().numpy()
        return found.bboxes[found.scores >= least], found.scores[found.scores >= least]

    return find


def one_class(cfg):
    by_exponent(cfg)
    cfg.model.bbox_head.num_classes = 1
    cfg.classes = ("car",)


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize(("det_change", "det_size", "pose_change", "pose_size"), [
    (lambda cfg: None, (64, 64), wide, (64, 64)),
    (one_class, (160, 160), use_udp, (64, 96)),
    (strict, (96, 96), no_padding, (192, 128)),
    (lambda cfg: None, (64, 64), with_dark, (64, 64)),
], ids=["plain", "udp", "strict", "by-mmpose"])
def test_results_are_upstreams(checkpoint, det_change, det_size, pose_change, pose_size, flip_test):  # noqa: F811
    det, pose = checkpoint("detector", det_change, det_size), checkpoint("pose", pose_change, pose_size)
    images = [picture(*shape, seed) for seed, shape in enumerate([*PICTURES, (200, 200)])]
    find, estimate = upstream_boxes(det), upstream_keypoints(pose, flip_test)
    expected = [find(image, 0.0) for image in images]
    # A threshold in the widest gap: a score at it would be in by one's rounding and out by the other's.
    scores = np.sort(np.concatenate([each[1] for each in expected]))[-60:]
    middle = int(np.diff(scores)[:len(scores) // 2].argmax())
    least = float(scores[middle:middle + 2].mean())
    predictor = PosePredictor(det, pose, device="cpu", bbox_thr=least, flip_test=flip_test, batch_size=7)
    count = 0
    for result, image, (boxes, box_scores) in zip(predictor(images), images, expected):
        boxes = boxes[box_scores >= least]
        assert len(result) == len(boxes)
        if len(boxes):
            apart = abs(result.boxes[:, None] - boxes).max(-1)
            assert sorted(apart.argmin(axis=1)) == list(range(len(boxes)))
            assert apart.min(axis=1).max() < 1e-3
            keypoints, keypoint_scores = estimate(image, result.boxes)
            np.testing.assert_allclose(result.keypoints, keypoints, atol=1e-3)
            np.testing.assert_allclose(result.scores, keypoint_scores, atol=1e-5)
        count += len(boxes)
    assert count >= 10


def test_torch_keeps_its_threads(checkpoint):  # noqa: F811
    """Each worker computes with its own; what the caller has is left alone."""
    import torch

    before = torch.get_num_threads()
    predictor = PosePredictor(None, checkpoint("pose", wide), device="cpu")
    assert torch.get_num_threads() == before
    list(predictor([picture(100, 100)] * 4))
    assert torch.get_num_threads() == before
