"""Each format's files: what is in them, and that strangers read them."""
import json
import os
import subprocess
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from export_models import build, images, normalised, pixels_of, run, save_small, session

from pose_tools.console import UserError
from pose_tools.export.half import network_nodes, to_fp16
from pose_tools.export.onnx_file import make_onnx, write_onnx
from pose_tools.export.openvino_file import write_openvino
from pose_tools.export.tensorrt_file import write_tensorrt
from pose_tools.export.torchscript_file import check_torchscript, write_torchscript
from pose_tools.inference.runtime.quiet_openvino import openvino_core
from pose_tools.openmmlab.graphs.trace import final_module

FACTS = {"model_facts": "1", "name": "Käfer", "mean": "[1.0, 2.0, 3.0]"}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return {kind: save_small(tmp_path_factory.mktemp(kind), kind) for kind in ("pose", "detector")}


@pytest.fixture(scope="module")
def plain(checkpoints):
    """ONNX of both models, plain."""
    return {kind: make_onnx(build(path), 17) for kind, path in checkpoints.items()}


@pytest.fixture(scope="module")
def whole(checkpoints):
    """ONNX of both models, end to end."""
    return {kind: make_onnx(build(path, end_to_end=True), 17) for kind, path in checkpoints.items()}


KINDS = pytest.mark.parametrize("kind", ["pose", "detector"])


@KINDS
def test_the_same_export_gives_the_same_bytes_and_names_no_path(kind, checkpoints, tmp_path):
    for name in ("first", "second"):
        write_onnx(make_onnx(build(checkpoints[kind]), 17), tmp_path / name, FACTS)
        write_openvino(tmp_path / name, tmp_path / f"{name}.xml", FACTS, "fp32")
    for suffix in ("", ".xml", ".bin"):
        first, second = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("first", "second"))
        assert first == second
        assert str(tmp_path).encode() not in first and os.path.dirname(torch.__file__).encode() not in first


def test_onnx_carries_its_metadata(plain, tmp_path):
    write_onnx(plain["pose"], tmp_path / "m.onnx", {"old": "x"})
    write_onnx(plain["pose"], tmp_path / "m.onnx", FACTS)
    assert session(tmp_path / "m.onnx").get_modelmeta().custom_metadata_map == FACTS


@KINDS
def test_openvino_computes_the_same_and_carries_its_metadata(kind, plain, checkpoints, tmp_path):
    core = openvino_core()
    write_onnx(plain[kind], tmp_path / "m.onnx", FACTS)
    assert write_openvino(tmp_path / "m.onnx", tmp_path / "m.xml", FACTS, "fp32") == \
        [tmp_path / "m.bin", tmp_path / "m.xml"]
    model = core.read_model(str(tmp_path / "m.xml"))
    assert {key: value.value for key, value in model.get_rt_info(["model_info"]).astype(dict).items()} == FACTS
    assert not model.has_rt_info("framework")
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    for count in (1, 2, 7):
        batch = normalised(images(count), pixels_of(checkpoints[kind]))
        for expected, port in zip(run(plain[kind], batch), compiled.outputs):
            np.testing.assert_allclose(compiled(batch)[port], expected, atol=2e-3)


def test_openvino_keeps_fp16_weights_where_asked_only(plain, tmp_path):
    write_onnx(plain["pose"], tmp_path / "m.onnx", FACTS)
    sizes = {}
    for precision in ("fp32", "bf16", "fp16"):
        write_openvino(tmp_path / "m.onnx", tmp_path / f"{precision}.xml", FACTS, precision)
        sizes[precision] = (tmp_path / f"{precision}.bin").stat().st_size
    assert sizes["bf16"] == sizes["fp32"] and 0.4 < sizes["fp16"] / sizes["fp32"] < 0.6


@KINDS
@pytest.mark.parametrize("whole_graph", [False, True])
def test_openvino_computes_the_last_layers_exactly_whatever_the_rest_is_computed_in(kind, whole_graph, plain, whole,
                                                                                    tmp_path):
    """In bf16 the highest bins of SimCC rows were equal, and a point in three of an end-to-end model was moved."""
    write_onnx((whole if whole_graph else plain)[kind], tmp_path / "m.onnx", FACTS)
    write_openvino(tmp_path / "m.onnx", tmp_path / "m.xml", FACTS, "fp32")
    marked = [layer.get("name") for layer in ElementTree.parse(tmp_path / "m.xml").iter("layer")
              if layer.find("rt_info/attribute[@name='precise']") is not None]
    assert len(marked) == {"pose": 2, "detector": 6}[kind]
    core = openvino_core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor does not compute in bf16")
    compiled = core.compile_model(str(tmp_path / "m.xml"), "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
    found = {node.get_friendly_name(): node.get_rt_info()["runtimePrecision"].astype(str)
             for node in compiled.get_runtime_model().get_ops()}
    assert "bf16" in found.values() and {found.get(name, "f32") for name in marked} == {"f32"}
    assert kind == "detector" or all(name in found for name in marked)


@pytest.mark.slow
def test_openvino_is_imported_without_its_telemetry():
    code = ("from pose_tools.inference.runtime.quiet_openvino import import_openvino; import sys; "
            "ov = import_openvino(); print(ov.Core is not None, sys.modules['openvino_telemetry'])")
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=os.getcwd(),
                            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert answer.stdout.split() == ["True", "None"], answer.stderr


@KINDS
def test_fp16_halves_the_network_and_nothing_else(kind, whole):
    from onnx import TensorProto, checker, shape_inference

    half = to_fp16(whole[kind])
    checker.check_model(half, full_check=True)
    weights = {each.name: each.data_type for each in half.graph.initializer}
    inferred = shape_inference.infer_shapes(half, strict_mode=True).graph
    types = {value.name: value.type.tensor_type.elem_type
             for value in (*inferred.value_info, *inferred.input, *inferred.output)}
    for node in half.graph.node:
        kinds = {weights.get(name, types.get(name)) for name in node.input}
        if node.op_type in ("Conv", "MatMul"):
            assert kinds == {TensorProto.FLOAT16}, node.name
        if node.op_type in ("ReduceL2", "NonMaxSuppression", "ArgMax", "TopK", "Sub", "GatherND"):
            assert TensorProto.FLOAT16 not in kinds, node.name
    assert list(half.graph.input) == list(whole[kind].graph.input)
    assert list(half.graph.output) == list(whole[kind].graph.output)
    assert half.ByteSize() < 0.65 * whole[kind].ByteSize()
    pictures = images(3)
    exact, rounded = run(whole[kind], pictures), run(half, pictures)
    if kind == "pose":
        np.testing.assert_allclose(rounded[1], exact[1], rtol=0.02)
        assert np.abs(rounded[0] - exact[0]).max(-1).mean() < 0.5
    else:
        np.testing.assert_allclose(rounded[0][..., 4], exact[0][..., 4], atol=0.005)


def tiny_graph(nodes, weights, shape=(2, 4)):
    """Input x and output y of one shape, named weights."""
    from onnx import TensorProto, helper, numpy_helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("input", "y")]
    kept = [numpy_helper.from_array(np.float32(value), name) for name, value in weights.items()]
    graph = helper.make_graph([helper.make_node(*node[:3], name=str(i), **(node[3] if len(node) > 3 else {}))
                               for i, node in enumerate(nodes)], "g", ends[:1], ends[1:], kept)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_what_lies_before_and_behind_the_weights_stays_exact():
    """1234.5 has no fp16, and neither has 70000; the network between them has."""
    model = tiny_graph([("Sub", ["input", "mean"], ["a"]), ("MatMul", ["a", "eye"], ["b"]), ("Relu", ["b"], ["c"]),
                        ("MatMul", ["c", "eye"], ["d"]), ("Add", ["d", "far"], ["e"]), ("Mul", ["e", "one"], ["y"])],
                       {"mean": 1234.5, "eye": np.eye(4), "far": 70000.5, "one": 1})
    assert network_nodes(model) == [False, True, True, True, False, False]
    half = to_fp16(model)
    found = run(half, np.full((2, 4), 1236.5, np.float32))[0]
    np.testing.assert_array_equal(found, np.full((2, 4), 70002.5, np.float32))
    assert [node.op_type for node in half.graph.node] == \
        ["Sub", "Cast", "MatMul", "Relu", "MatMul", "Cast", "Add", "Mul"]


def test_a_sum_of_squares_beyond_fp16_is_taken_in_fp32():
    """The norm of four values of 300 is 600, and its square, 360000, is beyond 65504."""
    model = tiny_graph([("MatMul", ["input", "eye"], ["a"]), ("ReduceL2", ["a"], ["n"], {"axes": [1]}),
                        ("Div", ["a", "n"], ["b"]), ("MatMul", ["b", "eye"], ["y"])], {"eye": np.eye(4)})
    half = to_fp16(model)
    np.testing.assert_allclose(run(half, np.full((2, 4), 300, np.float32))[0], 0.5, rtol=1e-3)
    names = {node.op_type: list(node.input) for node in half.graph.node}
    assert names["ReduceL2"] == ["a_fp32"] and names["Div"] == ["a", "n_fp16"]


def test_an_output_that_is_used_again_keeps_its_name_and_type():
    model = tiny_graph([("MatMul", ["input", "eye"], ["y"]), ("MatMul", ["y", "eye"], ["z"])], {"eye": np.eye(4)})
    model.graph.output.add().CopyFrom(model.graph.output[0])
    model.graph.output[1].name = "z"
    first, second = run(to_fp16(model), np.ones((2, 4), np.float32))
    assert first.dtype == second.dtype == np.float32 and (first == 1).all() and (second == 1).all()


@KINDS
@pytest.mark.slow
def test_torchscript_runs_without_openmmlab_and_names_no_path(kind, checkpoints, tmp_path):
    built, path = build(checkpoints[kind], end_to_end=True), tmp_path / "m.torchscript"
    write_torchscript(built, path, FACTS)
    check_torchscript(built, path)
    for name in ("mmengine", "mmcv", "mmdet", "mmpose"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not here')", encoding="utf-8")
    pictures = images(3)
    np.save(tmp_path / "pictures.npy", pictures)
    code = ("import json, numpy, torch; extra = {'model_facts.json': ''}; "
            "m = torch.jit.load('m.torchscript', _extra_files=extra); "
            "found = m(torch.from_numpy(numpy.load('pictures.npy'))); "
            "[numpy.save(f'{i}.npy', each.numpy()) for i, each in enumerate(found)]; "
            "print(json.dumps(json.loads(extra['model_facts.json'])))")
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
                            env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == FACTS
    with torch.no_grad():
        expected = final_module(built)(torch.from_numpy(pictures))
    for number, each in enumerate(expected):
        np.testing.assert_allclose(np.load(tmp_path / f"{number}.npy"), each.numpy(), atol=2e-3)
    import zipfile

    for entry in zipfile.ZipFile(path).namelist():
        assert b"/pose_tools/" not in zipfile.ZipFile(path).read(entry), entry


def test_torchscript_that_differs_is_refused(checkpoints, tmp_path):
    built, path = build(checkpoints["pose"]), tmp_path / "m.torchscript"
    write_torchscript(built, path, FACTS)
    built.module.model.head.cls_x.weight.data *= 1.5
    with pytest.raises(UserError, match=r"^m.torchscript: its simcc_x of 1 images differ"):
        check_torchscript(built, path)


def test_rtmlib_reads_the_plain_keypoint_model(plain, checkpoints, tmp_path):
    rtmlib = pytest.importorskip("rtmlib", reason="rtmlib is not installed")
    write_onnx(plain["pose"], tmp_path / "m.onnx", FACTS)
    reader = rtmlib.RTMPose(str(tmp_path / "m.onnx"), model_input_size=(64, 64), device="cpu")
    picture, box = images(1)[0], [4, 8, 44, 56]
    keypoints, scores = reader(picture, bboxes=[box])
    crop, center, scale = reader.preprocess(picture, box)
    x, y = run(plain["pose"], crop.transpose(2, 0, 1)[None].astype(np.float32))
    bins = np.stack([x[0].argmax(-1), y[0].argmax(-1)], -1)
    positive = np.minimum(x[0].max(-1), y[0].max(-1)) > 0
    assert positive.any()
    expected = bins / 2 / 64 * scale + center - scale / 2
    np.testing.assert_allclose(keypoints[0][positive], expected[positive], atol=1e-4)


def test_rtmlib_reads_the_plain_detector(plain, tmp_path):
    rtmlib = pytest.importorskip("rtmlib", reason="rtmlib is not installed")
    write_onnx(plain["detector"], tmp_path / "m.onnx", FACTS)
    reader = rtmlib.RTMDet(str(tmp_path / "m.onnx"), model_input_size=(64, 64), score_thr=0.05, device="cpu")
    picture = np.repeat(np.repeat(images(1)[0], 2, 0), 2, 1)  # 128 x 128: twice the network's input
    boxes = reader(picture)
    prepared, ratio = reader.preprocess(picture)
    [dets], [labels] = run(plain["detector"], prepared.transpose(2, 0, 1)[None].astype(np.float32))
    strong = dets[:, 4] > 0.05
    assert ratio == 0.5 and 2 < strong.sum() < len(dets) and (labels[strong] == 0).all()
    np.testing.assert_allclose(boxes, dets[strong, :4] * 2, rtol=1e-6)


class FakeTensorRT:
    """What of TensorRT is called, noting it."""

    __version__ = "10.0"
    NetworkDefinitionCreationFlag = SimpleNamespace()  # of version 10: no EXPLICIT_BATCH
    BuilderFlag = SimpleNamespace(FP16="fp16")

    def __init__(self, errors=(), engine=b"engine"):
        self.errors, self.engine, self.flags, self.shapes = errors, engine, [], []
        self.Logger = type("Logger", (), {"ERROR": 1, "__init__": lambda self, level: None})
        self.num_errors, self.get_error = len(errors), lambda number: errors[number]

    def Builder(self, logger):
        profile = SimpleNamespace(set_shape=lambda *shapes: self.shapes.append(shapes))
        return SimpleNamespace(
            create_network=lambda flags: SimpleNamespace(
                get_input=lambda i: SimpleNamespace(name="input", shape=(-1, 3, 64, 48))),
            create_builder_config=lambda: SimpleNamespace(
                set_flag=self.flags.append, add_optimization_profile=lambda each: None),
            create_optimization_profile=lambda: profile,
            build_serialized_network=lambda network, config: self.engine)

    def OnnxParser(self, network, logger):
        return SimpleNamespace(parse=lambda data: not self.errors, num_errors=self.num_errors, get_error=self.get_error)


@pytest.mark.parametrize("precision, batch, flags, shapes", [
    ("fp32", 4, [], []),
    ("fp16", None, ["fp16"], [("input", (1, 3, 64, 48), (8, 3, 64, 48), (32, 3, 64, 48))])])
def test_a_tensorrt_engine(precision, batch, flags, shapes, tmp_path, monkeypatch):
    fake = FakeTensorRT()
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    files = write_tensorrt(tmp_path / "m.onnx", tmp_path / "m.engine", FACTS, precision, batch)
    assert files == [tmp_path / "m.engine.json", tmp_path / "m.engine"]
    assert files[1].read_bytes() == b"engine" and json.loads(files[0].read_text(encoding="utf-8")) == FACTS
    assert (fake.flags, fake.shapes) == (flags, shapes)


@pytest.mark.parametrize("fake, said", [
    (FakeTensorRT(errors=["no NMS", "no x"]), "does not read it: no NMS; no x"),
    (FakeTensorRT(engine=None), "could not build an engine"), (None, "pip install tensorrt")])
def test_tensorrt_that_cannot(fake, said, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    with pytest.raises(UserError, match=said):
        write_tensorrt(tmp_path / "m.onnx", tmp_path / "m.engine", FACTS, "fp32", None)
    assert [each.name for each in tmp_path.iterdir()] == ["m.onnx"]
