"""The gate lets a sound export pass and stops every kind of broken one."""
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from export_models import build, images, normalised, pixels_of, save_small
from onnx import helper, numpy_helper

from pose_tools.export.onnx_file import make_onnx, write_onnx
from pose_tools.export.parity import Pictures, Tolerance, check, gate
from pose_tools.inference.runtime import open_backend
from pose_tools.inference.runtime.torch_facts import facts_of_checkpoint
from pose_tools.openmmlab.graphs.models import load_network
from pose_tools.weights.hashes import sha256_of

pytestmark = pytest.mark.slow
FP32 = Tolerance.of("fp32")


def awaken(checkpoint):
    """Sets the statistics of batch norms to those of pictures, so that outputs hang on what the network is shown."""
    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file

    network, shown = load_network(checkpoint), torch.from_numpy(normalised(images(16), pixels_of(checkpoint)))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
            module.train()
    with torch.no_grad():
        features = network.extract_feat(shown)
        network.head(features) if hasattr(network, "head") else network.bbox_head(features)
    content = load_checkpoint_file(checkpoint)
    torch.save({"meta": content["meta"], "state_dict": network.state_dict()}, checkpoint)
    return checkpoint


def strict_nms(cfg):
    if cfg.default_scope == "mmdet":
        cfg.model.test_cfg.nms.iou_threshold = 0.5


class World:
    """A checkpoint, its sound export and pictures; makes broken exports of it."""

    def __init__(self, folder, kind):
        self.folder, self.checkpoint = folder, awaken(save_small(folder, kind, strict_nms))
        self.facts = replace(facts_of_checkpoint(self.checkpoint), source_sha256=sha256_of(self.checkpoint))
        self.pictures = Pictures.rendered(self.facts, 6)
        self.model = make_onnx(build(self.checkpoint), 17)
        self.reference = open_backend(self.checkpoint, device="cpu", threads=1)

    def check(self, facts=None, change=None, tolerance=FP32, model=None):
        """The report on an export with these facts, its graph changed."""
        copy = onnx.ModelProto()
        copy.CopyFrom(model or self.model)
        if change:
            change(copy)
        path = self.folder / "changed.onnx"
        write_onnx(copy, path, (facts or self.facts).to_metadata())
        with pytest.MonkeyPatch.context() as patch:
            # The checkpoint is opened once for all tests: that is most of the time of a check.
            patch.setattr(gate, "open_backend", lambda file, **more: self.reference if file == self.checkpoint else
                          open_backend(file, **more))
            return check(self.checkpoint, path, self.pictures, tolerance, threads=1)


@pytest.fixture(scope="module")
def pose(tmp_path_factory):
    return World(tmp_path_factory.mktemp("pose"), "pose")


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return World(tmp_path_factory.mktemp("detector"), "detector")


def differ(report, what):
    """Whether the numbers themselves tell, not only what the file says of itself."""
    return any(line.startswith(what) for line in report.failures())


@pytest.mark.parametrize("kind", ["pose", "detector"])
def test_a_sound_export_passes(kind, request):
    report = request.getfixturevalue(kind).check()
    assert report.passed, report.table()
    judged = [row for row in report.rows if row.statistic]
    assert len(judged) >= 4 and all(row.spread.count for row in judged), "nothing was compared"
    assert report.accuracy is not None and report.accuracy.drop == 0


@pytest.mark.parametrize("lie", [
    {"mean": (103.53, 116.28, 123.675)}, {"mean": (0., 0., 0.)}, {"std": (1., 1., 1.)}, {"to_rgb": False},
    {"bbox_padding": 1.0}], ids=str)
def test_a_crop_made_otherwise_is_caught_by_what_it_does(lie, pose):
    report = pose.check(replace(pose.facts, **lie))
    assert differ(report, "keypoints: max"), report.table()
    assert differ(report, f"its metadata say {next(iter(lie))}")


@pytest.mark.parametrize("lie", [{"mean": (0., 0., 0.)}, {"std": (1., 1., 1.)}, {"to_rgb": True}], ids=str)
def test_a_picture_made_otherwise_is_caught_by_what_it_does(lie, detector):
    report = detector.check(replace(detector.facts, **lie))
    assert differ(report, f"its metadata say {next(iter(lie))}")
    assert len(report.failures()) > 1, report.table()


@pytest.mark.parametrize("lie", [
    {"simcc_split_ratio": 4.0}, {"input_size": (64, 32)}, {"input_size": (32, 32)}], ids=str)
def test_another_size_than_the_graph_has_is_caught(lie, pose):
    assert differ(pose.check(replace(pose.facts, **lie)), f"{pose.folder / 'changed.onnx'}: ")


def test_what_changes_no_number_is_caught_in_the_metadata(pose, detector):
    names = pose.facts.keypoint_set
    swapped = replace(names, keypoints=(names.keypoints[1], names.keypoints[0], *names.keypoints[2:]))
    for what, lie in {"keypoints": {"keypoint_set": swapped}, "swaps": {"keypoint_set": replace(names, swaps=())},
                      "sigmas": {"keypoint_set": replace(names, sigmas=(0.1, ) * 8)}, "flip_test": {"flip_test": False},
                      "classes": {"classes": ("bus", ), "keypoint_set": replace(names, classes=("bus", ))}}.items():
        assert differ(pose.check(replace(pose.facts, **lie)), f"its metadata say {what}"), what
    for lie in ({"pad_value": 0}, {"nms_threshold": 0.6}, {"score_threshold": 0.5}, {"max_per_image": 10}):
        assert differ(detector.check(replace(detector.facts, **lie)), f"its metadata say {next(iter(lie))}")
    assert differ(pose.check(replace(pose.facts, source_sha256="0" * 64)), "its metadata name a checkpoint")


def test_a_detector_is_no_keypoint_model(pose, detector):
    path = pose.folder / "detector.onnx"
    write_onnx(detector.model, path, detector.facts.to_metadata())
    report = check(pose.checkpoint, path, pose.pictures, FP32)
    assert differ(report, "its metadata say task = detector, and the checkpoint pose")


def output(model, name):
    """Renames an output inside the graph, so that nodes added can make it anew; gives the new name."""
    for node in model.graph.node:
        for i, each in enumerate(node.output):
            if each == name:
                node.output[i] = f"{name}_before"
    return f"{name}_before"


def add(model, kind, inputs, outputs, **attributes):
    model.graph.node.append(helper.make_node(kind, inputs, outputs, **attributes))


def constant(model, name, value):
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def exchange_keypoints(model):
    for axis in ("simcc_x", "simcc_y"):
        before = output(model, axis)
        order = constant(model, f"{axis}_order", np.array([1, 0, 2, 3, 4, 5, 6, 7]))
        add(model, "Gather", [before, order], [axis], axis=1)


def forget_weights(model):
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1:
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(list(tensor.dims), np.float32), tensor.name))


def repeat_the_first(model, names=("simcc_x", )):
    """What comes of a batch size that was fixed by tracing: each row is the first one."""
    for name in names:
        before = output(model, name)
        start, end = constant(model, f"{name}_0", np.array([0])), constant(model, f"{name}_1", np.array([1]))
        add(model, "Slice", [before, start, end, start], [f"{name}_first"])
        add(model, "Shape", [before], [f"{name}_shape"])
        add(model, "Expand", [f"{name}_first", f"{name}_shape"], [name])


def move_by_one_bin(model):
    before = output(model, "simcc_y")
    low, high = constant(model, "low", np.array([0])), constant(model, "high", np.array([-1]))
    axis = constant(model, "last", np.array([2]))
    add(model, "Slice", [before, low, high, axis], ["moved"])
    add(model, "Pad", ["moved", constant(model, "pads", np.array([0, 0, 1, 0, 0, 0]))], ["simcc_y"])


@pytest.mark.parametrize("change", [exchange_keypoints, forget_weights, move_by_one_bin, repeat_the_first])
def test_a_broken_keypoint_graph_is_caught(change, pose):
    assert differ(pose.check(change=change), "keypoints: max")


def test_a_graph_that_is_right_for_one_crop_alone_is_caught_even_if_the_rest_only_informs(pose):
    assert len(pose.pictures.each[0].boxes) < 8
    report = pose.check(change=repeat_the_first, tolerance=Tolerance.of("int8", px=1e9))
    report.rows = [row for row in report.rows if "a run against" in row.what]
    assert report.rows and report.rows[0].spread.max > 1, "one crop a run gives what eight did not"


def test_nan_is_caught(pose):
    def spoil(model):
        before = output(model, "simcc_x")
        add(model, "Mul", [before, constant(model, "nan", np.float32("nan"))], ["simcc_x"])

    assert differ(pose.check(change=spoil), "SimCC curves")


def nms_threshold(value):
    def change(model):
        for tensor in model.graph.initializer:
            if tensor.name == "nms/iou_threshold":
                tensor.CopyFrom(numpy_helper.from_array(np.array([value], np.float32), tensor.name))
                return
        raise AssertionError("no such constant")

    return change


@pytest.mark.parametrize("threshold", [0.35, 0.65])
def test_another_threshold_of_nms_is_caught(threshold, detector):
    report = detector.check(change=nms_threshold(threshold))
    assert any("found by one of the two alone" in line for line in report.failures()), report.table()


@pytest.mark.parametrize("change", [forget_weights, lambda model: repeat_the_first(model, ("dets", ))])
def test_a_broken_detector_is_caught(change, detector):
    assert not detector.check(change=change).passed


def test_a_graph_of_one_batch_size_is_no_dynamic_one(pose):
    """The file says that any number of crops will do; its graph takes two."""
    def fix(model):
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2

    assert differ(pose.check(change=fix), f"{pose.folder / 'changed.onnx'}: ")


def test_a_graph_that_does_not_run_is_a_finding(pose):
    def reshape(model):
        before = output(model, "simcc_x")
        add(model, "Shape", [before], ["shape"])
        add(model, "Min", ["shape", constant(model, "most", np.array([1, 8, 128]))], ["shape_of_one"])
        add(model, "Reshape", [before, "shape_of_one"], ["simcc_x"])

    assert differ(pose.check(change=reshape), "onnxruntime does not run it on a batch of 8")


@pytest.mark.parametrize(("end_to_end", "batch"), [(True, None), (False, 4), (True, 3)])
@pytest.mark.parametrize("kind", ["pose", "detector"])
def test_every_layout_passes(kind, end_to_end, batch, request):
    world = request.getfixturevalue(kind)
    model = make_onnx(build(world.checkpoint, end_to_end, batch), 17)
    facts = replace(world.facts, end_to_end=end_to_end, batch=batch)
    report = world.check(facts, model=model)
    assert report.passed, report.table()
    assert end_to_end == (not any("SimCC" in row.what for row in report.rows)) or kind == "detector"
