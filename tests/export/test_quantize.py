"""int8: which nodes are made so, that the result runs and is near, and where it loses."""
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest
from export_models import build, run, save_small
from onnx import TensorProto, helper, numpy_helper

from pose_tools.console import UserError
from pose_tools.export.onnx_file import make_onnx, write_onnx
from pose_tools.export.quantize import calibration_batches, kept_in_fp32, layer_errors, quantize_int8
from pose_tools.inference.runtime import ModelFacts, open_backend
from pose_tools.inference.runtime.torch_facts import facts_of_checkpoint


def graph_of(*nodes):
    """A graph of nodes (kind, name, inputs, output); convolutions get a weight each."""
    made, weights = [], []
    for kind, name, inputs, output in nodes:
        if kind == "Conv":
            weights.append(numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), f"{name}_w"))
            inputs = [*inputs, f"{name}_w"]
        made.append(helper.make_node(kind, inputs, [output], name=name))
    value = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 8, 8])
    outputs = [helper.make_tensor_value_info(nodes[-1][3], TensorProto.FLOAT, None)]
    return helper.make_model(helper.make_graph(made, "graph", [value], outputs, weights))


def test_the_last_convolution_of_each_path_and_all_behind_stay():
    model = graph_of(
        ("Neg", "prepare", ["input"], "x"), ("Conv", "first", ["x"], "a"), ("Sigmoid", "gate", ["a"], "b"),
        ("Mul", "silu", ["a", "b"], "c"), ("Conv", "last_one", ["c"], "d"), ("Conv", "middle", ["c"], "e"),
        ("Add", "sum", ["c", "e"], "f"), ("Conv", "last_other", ["f"], "g"), ("Add", "decode", ["d", "g"], "y"))
    assert kept_in_fp32(model) == {"prepare", "last_one", "last_other", "decode"}


def test_nodes_without_names_get_some():
    model = graph_of(("Conv", "", ["input"], "a"), ("Conv", "", ["a"], "y"))
    assert kept_in_fp32(model) == {"Conv_1"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(3):
        small = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(small, (96, 72)))
    return folder


def made(folder, kind, pictures, end_to_end=False):
    """A checkpoint's graph in fp32 and int8, facts and batches."""
    checkpoint = save_small(folder, kind)
    facts = replace(facts_of_checkpoint(checkpoint), end_to_end=end_to_end)
    plain, int8 = folder / "plain.onnx", folder / "int8.onnx"
    write_onnx(make_onnx(build(checkpoint, end_to_end), 17), plain, facts.to_metadata())
    batches = calibration_batches(pictures, checkpoint, facts)
    quantize_int8(plain, int8, facts, batches)
    return checkpoint, plain, int8, facts, batches


@pytest.mark.slow
@pytest.mark.parametrize("end_to_end", [False, True])
def test_a_keypoint_model_in_int8(tmp_path, pictures, end_to_end):
    _, plain, int8, facts, batches = made(tmp_path, "pose", pictures, end_to_end)
    assert len(batches) == 9, "three boxes a picture"
    shape, kind = ((1, 64, 64, 3), np.uint8) if end_to_end else ((1, 3, 64, 64), np.float32)
    assert all(batch.shape == shape and batch.dtype == kind for batch in batches)
    model = onnx.load(int8)
    assert int8.stat().st_size < 0.6 * plain.stat().st_size
    weights = [tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT8 and
               len(tensor.dims) == 4]
    assert len(weights) >= 20
    read = open_backend(int8)
    assert read.facts == replace(facts, precision="int8") == ModelFacts.from_metadata(
        {entry.key: entry.value for entry in model.metadata_props}, int8)
    both = np.concatenate(batches[:2])
    exact, rounded = run(plain, both), run(int8, both)
    apart = [np.abs(a - b).max() / (a.max() - a.min()) for a, b in zip(exact, rounded)]
    assert end_to_end or 0 < max(apart) < 0.2
    again = tmp_path / "again.onnx"
    quantize_int8(plain, again, facts, batches)
    assert again.read_bytes() == int8.read_bytes()


@pytest.mark.slow
def test_a_detector_in_int8_and_where_it_loses(tmp_path, pictures):
    _, plain, int8, _, batches = made(tmp_path, "detector", pictures)
    assert [batch.shape for batch in batches] == [(1, 3, 64, 64)] * 3
    names = {node.name: node for node in onnx.load(int8).graph.node}
    assert names["nms/kept"].input[0] == "boxes", "NMS reads what it did"
    errors = layer_errors(plain, int8, batches)
    assert len(errors) > 20 and [each.decibel for each in errors] == sorted(each.decibel for each in errors)
    assert 0 < errors[0].decibel < 60
    assert layer_errors(plain, plain, batches)[0].decibel == float("inf")


def test_nothing_to_measure_on_or_to_quantise_is_one_line(tmp_path):
    facts = ModelFacts("detector", "x", ("car", ), None, (8, 8), (0., ) * 3, (1., ) * 3, False)
    two = graph_of(("Conv", "first", ["input"], "a"), ("Conv", "last", ["a"], "y"))
    onnx.save(two, tmp_path / "two.onnx")
    with pytest.raises(UserError, match="needs pictures to measure"):
        quantize_int8(tmp_path / "two.onnx", tmp_path / "out.onnx", facts, [])
    one = graph_of(("Conv", "last", ["input"], "y"))
    onnx.save(one, tmp_path / "one.onnx")
    with pytest.raises(UserError, match="no convolution to quantise"):
        quantize_int8(tmp_path / "one.onnx", tmp_path / "out.onnx", facts, [np.zeros((1, 3, 8, 8), np.float32)])
    assert not (tmp_path / "out.onnx").exists()


def test_rendered_cars_calibrate_no_model_of_other_things(tmp_path):
    def other(cfg):
        cfg.classes = ("clock", )
        cfg.train_dataloader.dataset.data_root = str(tmp_path / "nowhere") + "/"

    checkpoint = save_small(tmp_path, "detector", other)
    with pytest.raises(UserError, match="give some with --calibration"):
        calibration_batches(None, checkpoint, facts_of_checkpoint(checkpoint))
