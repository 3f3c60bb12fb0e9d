"""Models of mmdet's and mmpose's indexes give here what upstream's own inference gives from the same weights."""
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from pose_tools.console import UserError
from pose_tools.inference.runtime import DetectorModel, PoseModel
from pose_tools.inference.source import ModelSource, find_model
from pose_tools.inference.topdown import RunOptions, TopDown
from pose_tools.inference.upstream import UpstreamDetector, UpstreamPose
from pose_tools.weights.catalog.config_files import installed_config

pytestmark = pytest.mark.slow


def picture(height, width, grey=False):
    """Shapes on a gradient, of several colours or of one grey."""
    import cv2

    rng = np.random.default_rng(3)
    image = np.linspace(0, 200, height * width * 3).reshape(height, width, 3).astype(np.uint8)
    for _ in range(14):
        place, colour = rng.integers(0, [width, height], 2), rng.integers(0, 256, 3)
        cv2.circle(image, place.tolist(), int(rng.integers(4, 30)), colour.tolist(), -1)
    return np.ascontiguousarray(np.repeat(image[..., :1], 3, axis=2)) if grey else image


def boxes_of(width, height, dtype=np.float32):
    """In the picture, over its border, and tiny."""
    return np.array([[10, 10, 60, 45.5], [-20, -30, 30, 20], [width - 20, 3, width + 30, height + 9], [20, 20, 22, 21]],
                    dtype)


def spread(model):
    """Scores that differ, boxes that have an area, and batch norms that are not the identity."""
    import torch

    torch.manual_seed(1)
    for name, value in model.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif "rtm_cls" in name and name.endswith("weight"):
            value.normal_(0, 5)
        elif "rtm_reg" in name and name.endswith("bias"):
            value.fill_(1.5)


@pytest.fixture(scope="module")
def upstream(openmmlab, tmp_path_factory):
    """Gives a function: the source of a model whose weights were saved, and upstream's network of the same."""
    import torch

    from pose_tools.inference.runtime.torch_backend import build_network
    from pose_tools.inference.runtime.torch_facts import read_checkpoint_config

    folder = tmp_path_factory.mktemp("upstream")

    def make(name, text=""):
        config = folder / f"{name}.py"
        base = installed_config(name)
        config.write_text(f"_base_ = {str(base)!r}\n{text}")
        cfg, kind = read_checkpoint_config(config, config)
        model = build_network(cfg, kind, config, "cpu", seed=0)
        spread(model)
        weights = folder / f"{name}.pth"
        torch.save({"state_dict": model.state_dict()}, weights)
        if kind == "pose":
            from mmpose.apis import init_model as init
        else:
            from mmdet.apis import init_detector as init
        return ModelSource(weights, config), init(str(config), str(weights), device="cpu")

    return make


def topdown(model, image, boxes, flip_test):
    from mmengine.registry import DefaultScope
    from mmpose.apis import inference_topdown

    model.test_cfg["flip_test"] = flip_test
    with DefaultScope.overwrite_default_scope("mmpose"):
        found = [each.pred_instances for each in inference_topdown(model, image, boxes)]
    return tuple(np.concatenate([each[name] for each in found]) for name in ("keypoints", "keypoint_scores"))


# A heat map, the same with DARK and UDP, several stages, coordinates by regression, classes of coordinates.
POSES = [
    ("td-hm_hrnet-w32_8xb64-210e_coco-256x192", UpstreamPose, ("person", 17)),
    ("td-hm_res50_dark-8xb64-210e_coco-256x192", UpstreamPose, ("person", 17)),
    ("cspnext-tiny_udp_8xb256-210e_aic-coco-256x192", UpstreamPose, ("person", 17)),
    ("td-hm_mspn50_8xb32-210e_coco-256x192", UpstreamPose, ("person", 17)),
    ("td-reg_res50_rle-8xb64-210e_coco-256x192", UpstreamPose, ("person", 17)),
    ("rtmpose-s_8xb256-420e_coco-256x192", PoseModel, ("person", 17)),
    ("rtmpose-m_8xb256-210e_hand5-256x256", PoseModel, ("hand", 21)),
]


def near_the_peak(response, points):
    """Which keypoints DARK and UDP moved by less than a cell.

    They follow the curvature at the highest cell; in maps of random weights, which may have none, anywhere, and the
    last bits of the sums decide. (N, K) bool.
    """
    flat = response.maps.reshape(*response.maps.shape[:2], -1).argmax(-1)
    cells = np.stack(np.unravel_index(flat, response.maps.shape[2:])[::-1], -1)
    places = response.origins[:, None] + cells * response.steps[:, None]
    return (abs(places - points) < response.steps[:, None]).all(-1)


@pytest.mark.parametrize(("name", "kind", "keypoints"), POSES, ids=[each[0] for each in POSES])
def test_keypoints_are_those_of_inference_topdown(upstream, name, kind, keypoints):
    source, theirs = upstream(name)
    image, grey = picture(120, 160), picture(100, 80, grey=True)
    boxes, whole = boxes_of(160, 120)[:4 if kind is PoseModel else 2], np.array([[0, 0, 80, 100]])
    for flip_test in (False, True):
        model = RunOptions("cpu", flip_test=flip_test, batch_size=2).pose_model(source)
        assert type(model) is kind
        assert (*model.keypoint_set.classes, len(model.keypoint_set.keypoints)) == keypoints
        responses = [] if kind is UpstreamPose and "reg" not in name else None
        found = model.many([image, image, grey], [boxes, boxes[:0], whole], responses)
        assert found[1][0].shape == (0, keypoints[1], 2)
        for number, picture_, each in ((0, image, boxes), (2, grey, whole)):
            points, scores = found[number]
            expected, expected_scores = topdown(theirs, picture_, each, flip_test)
            sound = near_the_peak(responses[number], points) if responses else np.ones(points.shape[:2], bool)
            assert sound.sum() >= len(each)
            np.testing.assert_allclose(points[sound], expected[..., :2][sound], atol=1e-3)
            np.testing.assert_allclose(scores, expected_scores, atol=1e-4)


SMALL = """
test_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadImageFromFile'), dict(type='Resize', scale=(160, 96), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]))
model = dict(test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=60), rcnn=dict(max_per_img=15)))
"""
KEEP_ALL = "model = dict(test_cfg=dict(nms_pre=9000, max_per_img=9000, score_thr=0.3, nms=dict(iou_threshold=0.637)))"
CONVNEXT = "cascade-mask-rcnn_convnext-t-p4-w7_fpn_4conv1fc-giou_amp-ms-crop-3x_coco"
DETECTORS = [
    ("faster-rcnn_r50_fpn_1x_coco", SMALL, UpstreamDetector, 80),
    ("cascade-rcnn_r50_fpn_1x_coco", SMALL, UpstreamDetector, 80),
    pytest.param(CONVNEXT, SMALL, UpstreamDetector, 80, marks=pytest.mark.skipif(
        not (find_spec("mmpretrain") and find_spec("einops")), reason="mmpretrain is not installed")),
    ("rtmdet_nano_320-8xb32_coco-person", KEEP_ALL, DetectorModel, 1),
]


@pytest.mark.parametrize(("name", "text", "kind", "classes"), DETECTORS)
def test_boxes_are_those_of_inference_detector(upstream, name, text, kind, classes):
    from mmdet.apis import inference_detector
    from mmengine.registry import DefaultScope

    source, theirs = upstream(name, text)
    model = RunOptions("cpu").detector_model(source, None)
    assert type(model) is kind
    assert (len(model.classes), model.classes[0]) == (classes, "person")
    for image in (picture(120, 160), picture(100, 80, grey=True)):
        with DefaultScope.overwrite_default_scope("mmdet"):
            expected = inference_detector(theirs, image).pred_instances.cpu().numpy()
        boxes, scores, labels = model(image)
        np.testing.assert_allclose(scores, expected.scores, atol=1e-4)
        apart = abs(boxes[:, None] - expected.bboxes).max(-1) + 1e3 * (labels[:, None] != expected.labels)
        # Three stages of random weights, each from the boxes of the last, double the rounding of one a few times.
        tolerance = 1e-3 if name != CONVNEXT else 4e-3
        assert apart.min(axis=1).max() < tolerance
        assert apart.min(axis=0).max() < tolerance
        assert len(boxes) > 0


def test_heat_maps_have_their_highest_place_where_the_keypoint_is(upstream):
    source, _ = upstream("td-hm_res50_8xb64-210e_coco-256x192")
    model, responses = UpstreamPose(source, "cpu", flip_test=False), []
    image, boxes = picture(120, 160), boxes_of(160, 120)[:2]
    (points, scores), _ = model.many([image, image], [boxes, []], responses)
    assert [len(each) for each in responses] == [2, 0]
    assert responses[0].maps.shape == (2, 17, 64, 48)
    np.testing.assert_allclose(responses[0].maps.max(axis=(2, 3)), scores, atol=1e-6)
    assert near_the_peak(responses[0], points)[scores > 0].all()  # a quarter of a cell
    assert (scores > 0).any()


def test_regression_has_no_heat_maps(upstream):
    source, _ = upstream("td-reg_res50_rle-8xb64-210e_coco-256x192")
    with pytest.raises(UserError, match="answers with places, not with heat maps"):
        UpstreamPose(source, "cpu").many([picture(60, 60)], [[[0, 0, 60, 60]]], [])


def test_bf16_is_near(upstream):
    source, _ = upstream("td-hm_res50_dark-8xb64-210e_coco-256x192")
    image, box = picture(120, 160), [[0, 0, 160, 120]]
    exact, reduced = (UpstreamPose(source, "cpu", precision=each)(image, box)[1] for each in ("fp32", "bf16"))
    assert 0 < abs(exact - reduced).max() < 0.05
    with pytest.raises(UserError, match="does not compute in fp16 here; it can be asked for: auto, fp32, bf16"):
        UpstreamPose(source, "cpu", precision="fp16")


def test_the_whole_path_with_random_weights(openmmlab):
    models = [TopDown("rtmdet_nano_320-8xb32_coco-person", "rtmpose-s_8xb256-420e_coco-256x192", random_init=True,
                      options=RunOptions("cpu", nms_threshold=0.01, flip_test=False)) for _ in range(2)]
    assert [line.split()[1] for line in models[0].warnings] == ["rtmpose-s_8xb256-420e_coco-256x192",
                                                                "rtmdet_nano_320-8xb32_coco-person"]
    found, again = (model(picture(120, 160)) for model in models)
    assert len(found.boxes) == len(found.keypoints) > 0
    np.testing.assert_array_equal(found.keypoints, again.keypoints)  # seeded


def test_weights_of_another_config_are_refused(upstream):
    source, _ = upstream("rtmpose-m_8xb256-210e_hand5-256x256")
    other = installed_config("td-hm_res50_dark-8xb64-210e_coco-256x192")
    with pytest.raises(UserError, match=r"rtmpose-m.*: its weights are not of the config.*and \d+ tensors more$"):
        UpstreamPose(ModelSource(source.path, other), "cpu")
    body = installed_config("rtmpose-m_8xb256-420e_coco-256x192")
    with pytest.raises(UserError, match="are not of the config they are to be used with: size mismatch for head"):
        RunOptions("cpu").pose_model(ModelSource(source.path, body))


@pytest.mark.parametrize(("det", "pose", "words"), [
    (None, "faster-rcnn_r50_fpn_1x_coco", "is a detector model, not a pose model"),
    (None, "rtmo-s_8xb32-600e_coco-640x640", "only top-down models, which take a box, run here"),
    ("rtmdet_nano_320-8xb32_coco-person", "rtmpose-m_8xb256-210e_hand5-256x256", "finds person, but .* is for hand"),
])
def test_models_that_do_not_fit(openmmlab, det, pose, words):
    with pytest.raises(UserError, match=words):
        TopDown(det, pose, random_init=True)


def test_an_operator_that_is_not_there_is_named(openmmlab):
    model = UpstreamDetector(find_model("faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco", random_init=True), "cpu")
    with pytest.raises(UserError, match="mmcv operator 'deform_conv_forward' needs a compiled mmcv"):
        model(picture(60, 60))


def test_keypoints_of_upstreams_configs(openmmlab):
    from pose_tools.openmmlab.config import load_config
    from pose_tools.openmmlab.upstream_meta import upstream_keypoint_set

    body = upstream_keypoint_set(load_config(installed_config("td-hm_hrnet-w32_8xb64-210e_coco-256x192")))
    assert body.classes == ("person", )
    assert body.keypoints[:3] == ("nose", "left_eye", "right_eye")
    assert body.flip_indices == (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
    assert ("left_ankle", "left_knee") in body.links and len(body.links) == 19
    assert body.sigmas[:2] == (0.026, 0.025)
    whole = upstream_keypoint_set(load_config(installed_config("rtmpose-l_8xb64-270e_coco-wholebody-256x192")))
    assert len(whole.keypoints) == len(whole.sigmas) == 133


def test_a_config_in_a_checkpoint_chooses_no_file_to_run(openmmlab, tmp_path, monkeypatch):
    from mmengine import Config

    from pose_tools.openmmlab.upstream_meta import pose_metainfo

    evil = tmp_path / "evil.py"
    evil.write_text("raise SystemExit('ran')")
    (tmp_path / "mine.pth").touch()
    cfg = Config({"test_dataloader": {"dataset": {"type": "CocoDataset", "metainfo": {"from_file": str(evil)}}}},
                 filename=str(tmp_path / "mine.pth"))
    with pytest.raises(UserError, match="its keypoints are in .*evil.py, which is not there"):
        pose_metainfo(cfg, "test")


def test_without_mmpretrain_one_line_says_how_to_install_it(openmmlab, monkeypatch):
    from pose_tools.openmmlab.compat import mmpretrain_parts

    monkeypatch.setattr(mmpretrain_parts, "find_spec", lambda name: None)
    for name in [name for name in sys.modules if name.split(".")[0] == "mmpretrain"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UserError, match="needs mmpretrain and einops, not installed here: pip install --no-"):
        UpstreamDetector(find_model(CONVNEXT, random_init=True), "cpu")
