"""The exported graphs give what mmpose and mmdet give, on batches of any size."""
from pathlib import Path

import numpy as np
import pytest
import torch
from export_models import build, images, normalised, pixels_of, run, save_small, session

from pose_tools.console import UserError
from pose_tools.export.onnx_file import make_onnx
from pose_tools.openmmlab.graphs.models import FromPixels, PoseGraph, load_network

BATCHES = (1, 2, 7, 33)
OPSET = 17


@pytest.fixture(scope="module")
def pose(tmp_path_factory):
    return save_small(tmp_path_factory.mktemp("pose"), "pose")


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return save_small(tmp_path_factory.mktemp("det"), "detector", three_classes)


def three_classes(cfg):
    cfg.classes, cfg.model.bbox_head.num_classes = ("car", "van", "bus"), 3


def dimensions(value):
    return [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]


def test_a_keypoint_model_gives_the_vectors_of_mmpose(pose):
    model, network, pixels = make_onnx(build(pose), OPSET), load_network(pose), pixels_of(pose)
    assert [dimensions(value) for value in (*model.graph.input, *model.graph.output)] == \
        [["batch", 3, 64, 64], ["batch", 8, 128], ["batch", 8, 128]]
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["input", "simcc_x", "simcc_y"]
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    loaded = session(model)
    for count in BATCHES:
        batch = normalised(images(count), pixels)
        with torch.no_grad():
            expected = network.head(network.extract_feat(torch.from_numpy(batch)))
        for theirs, ours in zip(expected, loaded.run(None, {"input": batch})):
            assert theirs.std() > 0.1, "the test's own weights give flat vectors"
            np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


def test_keypoints_of_pixels_are_those_of_upstreams_codec(pose):
    network, pixels = load_network(pose), pixels_of(pose)
    loaded = session(make_onnx(build(pose, end_to_end=True), OPSET))
    for count in BATCHES:
        pictures = images(count)
        with torch.no_grad():
            x, y = network.head(network.extract_feat(torch.from_numpy(normalised(pictures, pixels))))
        expected, scores = network.head.decoder.decode(x.numpy(), y.numpy())
        found, ours = loaded.run(None, {"input": pictures})
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_allclose(ours, scores, atol=1e-4)


def test_keypoints_without_a_positive_score_lie_where_upstream_puts_them(pose):
    built = build(pose, end_to_end=True)
    head = built.module.graph.plain.model.head
    head.cls_x.weight.data[:] = 0  # no bin is above 0
    found, scores = run(make_onnx(built, OPSET), images(2))
    assert (found == -0.5).all() and (scores <= 0).all()  # bin -1, at two bins a px


@pytest.mark.parametrize("change", [
    {}, {"nms_pre": 20}, {"max_per_img": 5}, {"score_thr": 0.1}, {"min_bbox_size": 12}, {"exp_on_reg": True},
    {"nms": {"type": "nms", "iou_threshold": 0.3}},
    {"nms": {"type": "nms", "iou_threshold": 0.5, "class_agnostic": True}},
], ids=lambda change: "-".join(change) or "as configured")
def test_a_detector_finds_what_mmdet_finds(change, tmp_path):
    def edit(cfg):
        three_classes(cfg)
        own = dict(change)
        cfg.model.bbox_head.exp_on_reg = own.pop("exp_on_reg", False)
        cfg.model.test_cfg.update(own)

    checkpoint = save_small(tmp_path, "detector", edit)
    network, pixels = load_network(checkpoint), pixels_of(checkpoint)
    loaded = session(make_onnx(build(checkpoint), OPSET))
    for count in BATCHES[:3]:
        batch = normalised(images(count), pixels)
        dets, labels = loaded.run(None, {"input": batch})
        most = min(network.test_cfg.max_per_img, 3 * (64 + 16 + 4))
        assert dets.shape == (count, most, 5) and labels.shape == (count, most) and labels.dtype == np.int64
        for image, (theirs, their_scores, their_labels) in enumerate(upstream(network, batch)):
            number = len(theirs)
            assert number > 2, "the test's own weights find nothing"
            np.testing.assert_allclose(dets[image, :number, 4], their_scores, atol=1e-5)
            # Scores that rounding alone orders may come in another order, so each is looked for.
            ours = np.column_stack([labels[image, :number] * 1000, dets[image, :number]])
            expected = np.column_stack([their_labels * 1000, theirs, their_scores])
            apart = np.abs(ours[:, None] - expected[None]).max(-1)
            assert sorted(apart.argmin(1)) == list(range(number)) and apart.min(1).max() < 1e-3
            assert not dets[image, number:].any() and (labels[image, number:] == -1).all()


def upstream(network, batch):
    """Boxes, scores and labels of each image, as mmdet's own code makes them."""
    from mmdet.structures import DetDataSample

    samples = [DetDataSample(metainfo={"img_shape": (64, 64), "scale_factor": (1.0, 1.0)}) for _ in batch]
    with torch.no_grad():
        found = network.predict(torch.from_numpy(batch), samples, rescale=False)
    for each in found:
        each = each.pred_instances
        yield each.bboxes.numpy(), each.scores.numpy(), each.labels.numpy()


def test_a_detector_of_pixels_finds_the_same(detector):
    pictures = images(3)
    plain = run(make_onnx(build(detector), OPSET), normalised(pictures, pixels_of(detector)))
    dets, labels = run(make_onnx(build(detector, end_to_end=True), OPSET), pictures)
    np.testing.assert_array_equal(labels, plain[1])
    np.testing.assert_allclose(dets, plain[0], atol=1e-3)


def test_a_fixed_batch_is_fixed(pose):
    model = make_onnx(build(pose, batch=4), OPSET)
    assert dimensions(model.graph.input[0]) == [4, 3, 64, 64] and dimensions(model.graph.output[0]) == [4, 8, 128]
    pictures = normalised(images(4), pixels_of(pose))
    free = run(make_onnx(build(pose), OPSET), pictures)
    np.testing.assert_allclose(run(model, pictures)[0], free[0], atol=1e-4)


def test_the_graph_is_lean(pose, detector):
    """BatchNorm is in the convolutions, shapes are known, channel order and deviations cost no pass of their own."""
    for checkpoint in (pose, detector):
        kinds = [node.op_type for node in make_onnx(build(checkpoint, end_to_end=True), OPSET).graph.node]
        assert not {"BatchNormalization", "Shape", "Constant", "Identity", "Dropout"} & set(kinds)
        # Only the mean is subtracted before the first convolution.
        assert kinds[:kinds.index("Conv")] in (["Transpose", "Cast", "Sub"], ["Cast", "Transpose", "Sub"])


@pytest.mark.parametrize("opset", [14, 20])
def test_other_opsets(opset, detector):
    model = make_onnx(build(detector), opset)
    assert model.opset_import[0].version == opset
    batch = normalised(images(2), pixels_of(detector))
    np.testing.assert_array_equal(run(model, batch)[1], run(make_onnx(build(detector), OPSET), batch)[1])


def test_what_has_no_simcc_vectors_is_refused():
    class Heatmaps(torch.nn.Module):
        head = torch.nn.Identity()

    with pytest.raises(UserError, match=r"^m.pth: its head is Identity, and only heads that give SimCC vectors"):
        PoseGraph(Heatmaps(), Path("m.pth"))


def test_a_network_without_a_first_convolution_takes_no_pixels(pose):
    network, pixels = load_network(pose), pixels_of(pose)

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Conv2d(3, 4, 1, groups=1))

    assert FromPixels(PoseGraph(network, pose), Wrapped(), pixels, pose).output_names == ("simcc_x", "simcc_y")
    wrapped = Wrapped()
    wrapped.backbone[1] = torch.nn.Identity()
    with pytest.raises(UserError, match="does not begin with a convolution of three channels"):
        FromPixels(PoseGraph(network, pose), wrapped, pixels, pose)


def test_a_detector_of_another_kind_is_refused(pose):
    from pose_tools.openmmlab.graphs.models import DetectorGraph

    with pytest.raises(UserError, match="of detectors only RTMDet"):
        DetectorGraph(load_network(pose), (64, 64), pose)


def test_what_torch_cannot_write_is_one_line(pose):
    with pytest.raises(UserError, match="^torch does not write this network as ONNX with opset 99: ") as error:
        make_onnx(build(pose), 99)
    assert "\n" not in str(error.value)
