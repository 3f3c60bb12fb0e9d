"""Counting operations: by hand, by three libraries alike, and as published."""
import numpy as np
import pytest
from bench_models import POSE_MACS, POSE_PARAMETERS, SIZE, constant, detector_file, facts, pose_file, value
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import pose_tools.openmmlab  # noqa: F401
from pose_tools.benchmarking.complexity import complexity_of, input_shape
from pose_tools.benchmarking.count_onnx import complexity_of_onnx, count_graph
from pose_tools.benchmarking.count_openvino import complexity_of_openvino, count_model
from pose_tools.benchmarking.count_torch import build_network, count_module
from pose_tools.console import UserError
from pose_tools.inference.runtime.quiet_openvino import import_openvino, openvino_core

pytest.importorskip("openvino")


def graph_of(nodes, numbers, out="y"):
    graph = helper.make_graph(nodes, "g", [value("x", None)], [value(out, None)],
                              [constant(name, array) for name, array in numbers.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(("node", "weights", "shape", "macs"), [
    # (2, 6, 8, 8) -> (2, 4, 4, 4), 2 groups: 128 outputs, each of 3 channels * 3 * 3
    (helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1], group=2), (4, 3, 3, 3),
     (2, 6, 8, 8), 128 * 27),
    # each of 1 * 4 * 5 * 5 inputs is spread over 3 channels * 2 * 2
    (helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2]), (4, 3, 2, 2), (1, 4, 5, 5), 100 * 12),
    (helper.make_node("MatMul", ["x", "w"], ["y"]), (7, 5), (2, 3, 7), 2 * 3 * 5 * 7),
    (helper.make_node("MatMul", ["w", "x"], ["y"]), (5, 7), (2, 7, 3), 2 * 5 * 3 * 7),
    (helper.make_node("Gemm", ["x", "w"], ["y"], transB=1), (5, 7), (3, 7), 3 * 5 * 7),
    (helper.make_node("Gemm", ["x", "w"], ["y"], transA=1), (7, 5), (7, 3), 3 * 5 * 7),
], ids=lambda value: getattr(value, "op_type", ""))
def test_operators_by_hand(node, weights, shape, macs):
    model = graph_of([node], {"w": np.zeros(weights, np.float32)})
    found = count_graph(model, shape)
    assert found.macs == macs == found.by_operator[node.op_type]
    assert found.parameters == np.prod(weights)
    assert found.to_dict()["gflops"] == pytest.approx(2 * macs / 1e9)


def test_what_cannot_be_told_is_said_and_not_guessed():
    weights = {"w": np.zeros((4, 4), np.float32), "yes": np.array(True)}
    inner = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["inner"])], "branch", [],
                              [value("inner", None)])
    branch = helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner)
    assert count_graph(graph_of([branch], weights), (3, 4)).uncounted == 2
    # How many rows NonZero finds is in the data, so the product with them has no size.
    nodes = [helper.make_node("NonZero", ["x"], ["where"]), helper.make_node("Cast", ["where"], ["f"], to=1),
             helper.make_node("MatMul", ["w2", "f"], ["y"])]
    found = count_graph(graph_of(nodes, {"w2": np.zeros((5, 2), np.float32)}), (3, 4))
    assert (found.macs, found.uncounted) == (0, 1)


def test_shapes_noted_for_another_batch_do_not_count():
    model = graph_of([helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
                     {"w": np.zeros((4, 6), np.float32)})
    model.graph.value_info.append(value("h", [16, 6]))
    assert count_graph(model, (1, 4)).macs == 24
    assert len(model.graph.value_info) == 1, "the model stays as it was"


def test_numbers_of_a_quantized_graph_without_scales_and_shapes():
    numbers = {"q": np.zeros((5, 4), np.int8), "scale": np.ones(5, np.float32), "zero": np.zeros(5, np.int8),
               "bias": np.zeros(5, np.int32), "bias_scale": np.ones(5, np.float32), "shape": np.array([-1, 4])}
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["flat"]),
             helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["w"], axis=0),
             helper.make_node("DequantizeLinear", ["bias", "bias_scale"], ["b"], axis=0),
             helper.make_node("Gemm", ["flat", "w", "b"], ["y"], transB=1)]
    found = count_graph(graph_of(nodes, numbers), (3, 2, 2))
    assert (found.macs, found.parameters) == (3 * 4 * 5, 5 * 4 + 5)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_three_libraries_agree_on_any_convolution(data):
    import torch

    groups = data.draw(st.sampled_from([1, 2, 4]))
    cin, cout = (groups * data.draw(st.integers(1, 4)) for _ in range(2))
    kernel, stride, pad = (data.draw(st.integers(*ends)) for ends in ((1, 4), (1, 3), (0, 2)))
    turned, batch = data.draw(st.booleans()), data.draw(st.integers(1, 3))
    kind = torch.nn.ConvTranspose2d if turned else torch.nn.Conv2d
    # A transposed convolution takes the padding off, and something has to be left.
    height, width = (data.draw(st.integers(6, 12)) for _ in range(2))
    layer = kind(cin, cout, kernel, stride, min(pad, kernel // 2), groups=groups, bias=False)
    image = torch.zeros(batch, cin, height, width)
    by_torch = count_module(layer, lambda: layer(image))
    node = helper.make_node("ConvTranspose" if turned else "Conv", ["x", "w"], ["y"], strides=[stride] * 2,
                            pads=[layer.padding[0]] * 4, group=groups)
    model = graph_of([node], {"w": layer.weight.detach().numpy()})
    by_onnx = count_graph(model, image.shape)
    assert (by_torch.macs, by_torch.parameters) == (by_onnx.macs, by_onnx.parameters)
    model.graph.input[0].CopyFrom(value("x", list(image.shape)))
    read = openvino_core().read_model(model.SerializeToString())
    by_openvino = count_model(read)
    assert (by_openvino.macs, by_openvino.parameters) == (by_onnx.macs, by_onnx.parameters)


def test_files_are_counted_for_one_input(tmp_path):
    for path in (pose_file(tmp_path / "any.onnx"), pose_file(tmp_path / "four.onnx", batch=4)):
        found = complexity_of(path, facts("pose", batch=4 if path.stem == "four" else None))
        assert (found.by_operator, found.parameters) == (POSE_MACS, POSE_PARAMETERS)
    import_openvino().save_model(openvino_core().read_model(str(tmp_path / "any.onnx")), str(tmp_path / "any.xml"),
                        compress_to_fp16=True)
    found = complexity_of(tmp_path / "any.xml", facts("pose"))
    assert found.by_operator == {"Convolution": POSE_MACS["Conv"], "MatMul": POSE_MACS["MatMul"]}
    assert found.parameters == POSE_PARAMETERS
    # 27 products at (64 - 2) * (32 - 2) places
    assert complexity_of(detector_file(tmp_path / "det.onnx"), facts("detector")).macs == 27 * 62 * 30


def test_inputs_have_the_layout_of_the_graph():
    width, height = SIZE
    assert input_shape(facts("pose"), 4) == (4, 3, height, width)
    assert input_shape(facts("pose", end_to_end=True)) == (1, height, width, 3)


@pytest.mark.parametrize("count", [complexity_of_onnx, complexity_of_openvino])
def test_a_file_that_is_no_model_is_one_line(tmp_path, count):
    path = tmp_path / ("bad.xml" if count is complexity_of_openvino else "bad.onnx")
    with pytest.raises(UserError, match="no such file"):
        count(path, (1, 3, 8, 8))
    path.write_bytes(b"<nothing>")
    with pytest.raises(UserError, match="bad"):
        count(path, (1, 3, 8, 8))


def network(root, name, size, **head):
    """Our recipe with the outputs of the published models."""
    from pose_tools.openmmlab.config import load_config
    from pose_tools.openmmlab.input_size import set_input_size

    cfg = load_config(root / f"configs/{name}-carpose.py")
    set_input_size(cfg, size)
    cfg.model.backbone.init_cfg = None
    cfg.model["head" if "head" in cfg.model else "bbox_head"].update(head)
    return build_network(cfg.model, "pose" if "pose" in name else "detector")


def passed(model, size):
    import torch

    image = torch.zeros(1, 3, size[1], size[0])
    return image, count_module(model, lambda: model(image, None, mode="tensor"))


@pytest.mark.slow
def test_rtmpose_s_is_as_published_and_the_same_in_an_onnx_file(root, tmp_path):
    import torch

    model = network(root, "rtmpose-s", (192, 256), out_channels=17)
    image, found = passed(model, (192, 256))
    # mmpose's table: 0.68 "GFLOPs", 5.47 M parameters. Its counter adds 0.0058 G of normalisation and pooling.
    assert f"{found.macs / 1e9 + 0.0058:.2f}" == "0.68"
    assert found.macs == 676_405_888
    assert f"{found.parameters / 1e6:.2f}" == "5.47"

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, images):
            return self.model(images, None, mode="tensor")

    path = tmp_path / "pose.onnx"
    torch.onnx.export(Network(), image, str(path), input_names=["input"], dynamic_axes={"input": {0: "N"}},
                      dynamo=False, opset_version=17)
    exported = complexity_of_onnx(path, image.shape)
    assert (exported.macs, exported.uncounted) == (found.macs, 0)
    assert exported.parameters == pytest.approx(found.parameters, rel=0.005), "normalisation is folded"


@pytest.mark.slow
def test_rtmdet_tiny_is_as_published(root):
    _, found = passed(network(root, "rtmdet-tiny", (640, 640), num_classes=80), (640, 640))
    # mmdet's table: 8.1 "GFLOPs", 4.8 M parameters (4.88 cut off). Its counter adds 0.0529 G of normalisation,
    # pooling and resizing.
    assert f"{found.macs / 1e9 + 0.0529:.1f}" == "8.1"
    assert found.macs == 8_036_087_040
    assert 4.8e6 < found.parameters < 4.9e6
