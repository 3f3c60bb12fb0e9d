"""The runtime gives what mmpose's and mmdet's own inference gives, from the same weights."""
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose_tools.console import FaultsError, UserError
from pose_tools.inference.runtime import DetectorModel, PoseModel, open_backend
from pose_tools.inference.runtime.torch_facts import UnknownLayout, facts_of_config
from pose_tools.inference.topdown import RunOptions, TopDown
from pose_tools.inference.upstream import UpstreamDetector, UpstreamPose
from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "weights"))
pytestmark = pytest.mark.slow


def picture(height, width, seed=0):
    """Shapes of several colours on a gradient: something with edges, so that pixels matter."""
    import cv2

    rng = np.random.default_rng(seed)
    image = np.linspace(0, 200, height * width * 3).reshape(height, width, 3).astype(np.uint8)
    for _ in range(12):
        place, colour = rng.integers(0, [width, height], 2), rng.integers(0, 256, 3)
        cv2.circle(image, place.tolist(), int(rng.integers(4, 40)), colour.tolist(), -1)
    return image


PICTURES = [(240, 320), (333, 125), (48, 64), (720, 1280)]


def settle(model):
    """Gives batch norms statistics that are not 0 and 1, so that folding them matters."""
    import torch

    torch.manual_seed(1)
    for name, value in model.items():
        if name.endswith("running_mean") or (name.endswith("bias") and "bn" in name):
            value.normal_(0, 0.2)
        elif name.endswith("running_var") or (name.endswith("weight") and "bn" in name):
            value.uniform_(0.5, 1.5)


@pytest.fixture(scope="module")
def checkpoint(openmmlab, tmp_path_factory):
    """Gives a function that saves a small model of a kind, its config changed by another function."""
    import torch
    from release_models import save_run, small_config

    folder = tmp_path_factory.mktemp("runs")

    def save(kind, change=lambda cfg: None, size=(64, 64)):
        from pose_tools.openmmlab.input_size import set_input_size

        cfg = small_config(kind)
        set_input_size(cfg, size)
        change(cfg)
        path = save_run(folder / str(len(list(folder.iterdir()))), kind, cfg)
        content = load_checkpoint_file(path)
        settle(content["state_dict"])
        for name, value in content["state_dict"].items():  # scores that differ, and boxes that have an area
            if "rtm_cls" in name:
                value.normal_(0, 0.5)
            elif "rtm_reg" in name and name.endswith("bias"):
                value.fill_(0.5 if cfg.model.bbox_head.exp_on_reg else 1.5)
        torch.save(content, path)
        return path

    return save


def boxes_of(width, height, dtype=np.float32):
    """In the picture, over each border, high, wide, tiny, and the whole picture."""
    return np.array([[10, 10, 60, 45], [-20, -30, 30, 20], [width - 20, height - 20, width + 30, height + 9],
                     [12, 3, 17, height - 3], [3, 30, width, 34], [20, 20, 22, 21], [0, 0, width, height]], dtype)


def upstream_keypoints(path, flip_test):
    from mmengine.registry import DefaultScope
    from mmpose.apis import inference_topdown, init_model

    from pose_tools.inference.runtime.torch_facts import read_checkpoint_config

    with DefaultScope.overwrite_default_scope("mmpose"):
        model = init_model(read_checkpoint_config(path)[0], str(path), device="cpu")
    model.test_cfg["flip_test"] = flip_test

    def find(image, boxes):
        with DefaultScope.overwrite_default_scope("mmpose"):
            found = [each.pred_instances for each in inference_topdown(model, image, boxes)]
        return tuple(np.concatenate([each[name] for each in found]) for name in ("keypoints", "keypoint_scores"))

    return find


def wide(cfg):
    cfg.model.backbone.update(deepen_factor=0.33, widen_factor=0.25)
    cfg.model.head.in_channels = 256


def use_udp(cfg):
    for step in cfg.test_dataloader.dataset.pipeline:
        if step["type"] == "TopdownAffine":
            step["use_udp"] = True


def no_padding(cfg):
    for step in cfg.test_dataloader.dataset.pipeline:
        if step["type"] == "GetBBoxCenterScale":
            step["padding"] = 1.0


@pytest.mark.parametrize(("change", "size"), [(wide, (64, 64)), (use_udp, (64, 96)), (no_padding, (192, 128))])
@pytest.mark.parametrize("flip_test", [False, True])
def test_keypoints_are_those_of_inference_topdown(checkpoint, change, size, flip_test):
    path = checkpoint("pose", change, size)
    find, model = upstream_keypoints(path, flip_test), PoseModel(open_backend(path, device="cpu"), flip_test, 3)
    images = [picture(*shape, seed) for seed, shape in enumerate(PICTURES)]
    boxes = [boxes_of(*image.shape[1::-1], dtype) for image, dtype in
             zip(images, (np.float32, np.float64, np.int64, np.float32))]
    for image, each, (keypoints, scores) in zip(images, boxes, model.many(images, boxes)):
        expected, expected_scores = find(image, each)
        np.testing.assert_allclose(keypoints, expected, atol=1e-3)
        np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
        alone, _ = model(image, each[:1])
        np.testing.assert_allclose(alone, expected[:1], atol=1e-3)


def by_exponent(cfg):
    """As RTMDet-m and -l are; and a norm and layers for each level."""
    cfg.model.bbox_head.exp_on_reg = True
    cfg.model.bbox_head.num_classes = 3
    cfg.classes = ("car", "bus", "van")


def strict(cfg):
    cfg.model.test_cfg.update(score_thr=0.2, max_per_img=7, nms_pre=50)
    cfg.model.test_cfg.nms.iou_threshold = 0.3


@pytest.mark.parametrize(("change", "size"), [
    (lambda cfg: None, (64, 64)), (by_exponent, (160, 160)), (strict, (96, 96))])
def test_boxes_are_those_of_inference_detector(checkpoint, change, size):
    from mmdet.apis import inference_detector, init_detector
    from mmengine.registry import DefaultScope

    from pose_tools.inference.runtime.torch_facts import read_checkpoint_config

    path = checkpoint("detector", change, size)
    with DefaultScope.overwrite_default_scope("mmdet"):
        upstream = init_detector(read_checkpoint_config(path)[0], str(path), device="cpu")
    model, count = DetectorModel(open_backend(path, device="cpu")), 0
    for seed, shape in enumerate(PICTURES):
        image = picture(*shape, seed)
        with DefaultScope.overwrite_default_scope("mmdet"):
            expected = inference_detector(upstream, image).pred_instances.cpu().numpy()
        boxes, scores, labels = model(image)
        np.testing.assert_allclose(scores, expected.scores, atol=1e-5)
        # Nearly equal scores may change places, so that each box looks for its like.
        apart = abs(boxes[:, None] - expected.bboxes).max(-1) + 1e3 * (labels[:, None] != expected.labels)
        assert sorted(apart.argmin(axis=1)) == list(range(len(boxes)))
        assert apart.min(axis=1).max() < 1e-3
        count += len(boxes)
    assert count > 0


def test_folding_leaves_each_level_its_own_convolution(checkpoint):
    """RTMDet's heads share them, so a fold in place would count the norms of all levels."""
    backend = open_backend(checkpoint("detector"), device="cpu")
    head = backend._model.bbox_head
    first, second = head.cls_convs[0][0].conv, head.cls_convs[1][0].conv
    assert first is not second
    assert abs(first.weight - second.weight).max() > 1e-3


def test_facts_of_a_checkpoint_are_those_of_its_config(checkpoint):
    from pose_tools.inference.runtime.torch_facts import facts_of_checkpoint

    facts = facts_of_checkpoint(checkpoint("pose", no_padding, (64, 96)))
    assert (facts.task, facts.name, facts.classes) == ("pose", "rtmpose-s-carpose", ("car",))
    assert facts.input_size == (64, 96)
    assert (facts.to_rgb, facts.bbox_padding, facts.simcc_split_ratio, facts.flip_test) == (True, 1.0, 2.0, True)
    assert len(facts.keypoint_set.keypoints) == 8
    assert type(facts).from_metadata(facts.to_metadata(), "x") == replace(facts)
    facts = facts_of_checkpoint(checkpoint("detector", strict))
    assert (facts.score_threshold, facts.nms_threshold, facts.nms_pre, facts.max_per_image) == (0.2, 0.3, 50, 7)
    assert (facts.to_rgb, facts.mean, facts.pad_value) == (False, (103.53, 116.28, 123.675), 114)


def with_dark(cfg):
    """Decoding that the runtime does not know."""
    cfg.model.head.decoder.use_dark = True


def without_grey(cfg):
    """A detector whose pictures are not padded to one size."""
    dataset = cfg.test_dataloader.dataset
    dataset.pipeline = [step for step in dataset.pipeline if step["type"] != "Pad"]
    cfg.model.data_preprocessor.pad_size_divisor = 32


def without_names(cfg):
    """Eight keypoints, and a data set that would have COCO's seventeen if it does not say otherwise."""
    cfg.pop("keypoints")
    for split in ("train", "test"):
        cfg[f"{split}_dataloader"].dataset.pop("metainfo")


def test_what_the_runtime_does_not_know_is_listed(checkpoint):
    def change(cfg):
        with_dark(cfg)
        cfg.test_dataloader.dataset.pipeline = cfg.test_dataloader.dataset.pipeline[:1]

    with pytest.raises(UnknownLayout) as error:
        open_backend(checkpoint("pose", change))
    assert [fault.where for fault in error.value.faults] == ["model.head.decoder", "test pipeline"]
    with pytest.raises(FaultsError, match="does not name its keypoints") as error:
        open_backend(checkpoint("pose", without_names))
    assert not isinstance(error.value, UnknownLayout)


def test_other_networks_predict_by_upstream(checkpoint):
    pose, det = checkpoint("pose", with_dark), checkpoint("detector", without_grey)
    image = picture(240, 320)
    model = TopDown(det, pose, "cpu", 0.0)
    found = model(image)
    assert isinstance(model.detector, UpstreamDetector)
    assert len(found.boxes) == len(found.keypoints) > 0
    find = upstream_keypoints(pose, True)
    np.testing.assert_allclose(found.keypoints, find(image, found.boxes)[0], atol=1e-3)
    assert model.estimator(image, found.boxes[:0])[0].shape == (0, 8, 2)
    whole = TopDown(None, pose, "cpu", options=RunOptions("cpu", flip_test=False))(image)
    np.testing.assert_allclose(whole.keypoints, upstream_keypoints(pose, False)(image, whole.boxes)[0], atol=1e-3)
    with pytest.raises(UserError, match="is a detector model, not a pose model"):
        TopDown(None, det, "cpu")
    with pytest.raises(UserError, match="is a pose model, not a detector model"):
        TopDown(pose, pose, "cpu")


def test_a_network_that_upstream_runs_carries_its_calibration(checkpoint):
    from pose_tools.formats.calibration import Calibration, Curve

    def calibrated(names):
        def change(cfg):
            with_dark(cfg)
            curves = tuple(Curve(name, 40, (0.0, 1.0), (0.25, 0.75)) for name in names or cfg.keypoints)
            cfg.calibration = Calibration(curves, 0.05, "logistic").to_json()
        return change

    model = TopDown(None, checkpoint("pose", calibrated(None)), "cpu")
    assert isinstance(model.estimator, UpstreamPose)
    found = Calibration.of_model(model.estimator.facts.calibration, model.keypoint_set, "a file")
    np.testing.assert_allclose(found(np.array([[0, 0.5] * 4])), [[0.25, 0.5] * 4])
    with pytest.raises(UserError, match="its calibration"):
        TopDown(None, checkpoint("pose", calibrated(("nose", ))), "cpu")


def test_an_upstream_detector_has_the_classes_of_its_dataset(openmmlab):
    from release_models import small_config

    cfg = small_config("detector")
    for name in ("keypoints", "classes"):
        cfg.pop(name)
    cfg.test_dataloader.dataset.pop("metainfo")
    cfg.model.bbox_head.num_classes = 80
    facts = facts_of_config(cfg, "detector", Path("rtmdet.pth"))
    assert facts.keypoint_set is None
    assert (len(facts.classes), facts.classes[2]) == (80, "car")


def test_devices_and_precisions_of_torch(checkpoint):
    path = checkpoint("pose")
    with pytest.raises(UserError, match="--device tpu: say cpu, cuda"):
        open_backend(path, device="tpu")
    with pytest.raises(UserError, match="PyTorch does not compute in fp16 here"):
        open_backend(path, device="cpu", precision="fp16")
    image, box = picture(240, 320), [[0, 0, 320, 240]]
    exact, reduced = (PoseModel(open_backend(path, device="cpu", precision=each))(image, box)[1]
                      for each in ("fp32", "bf16"))
    assert 0 < abs(exact - reduced).max() < 0.1


def test_a_portrait_is_fitted_into_an_oblong_input(checkpoint):
    """Upstream turns the input; here boxes of a portrait are found at its own size all the same."""
    model = DetectorModel(open_backend(checkpoint("detector", size=(128, 64)), device="cpu"))
    boxes, scores, _ = model(picture(400, 100))
    assert len(boxes)
    assert np.isfinite(boxes).all()
    assert (np.diff(scores) <= 0).all()
