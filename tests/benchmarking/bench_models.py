"""Models of a few numbers in real files, and objects that misbehave in a process of their own."""
import os
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.runtime.facts import ModelFacts

SIZE = (32, 64)  # w, h
POINTS = KeypointSet(("car", ), ("a", "b", "c"))


def facts(task, **more):
    return ModelFacts(task=task, name=f"tiny-{task}", classes=("car", ), keypoint_set=POINTS, input_size=SIZE,
                      mean=(0., 0., 0.), std=(1., 1., 1.), to_rgb=task == "pose", **more)


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def save(path, nodes, outputs, initializers, about, opset=17):
    width, height = SIZE
    graph = helper.make_graph(nodes, "tiny", [value("input", [about.batch or "N", 3, height, width])], outputs,
                              initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, about.to_metadata())
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def pose_file(path, batch=None):
    """One convolution, 8 x (3 x 3 x 3) over 4 x 8 places, and a matrix product for each axis."""
    width, height = SIZE
    rng = np.random.default_rng(0)
    nodes, outputs, numbers = [
        helper.make_node("Conv", ["input", "weight"], ["features"], strides=[8, 8], pads=[1, 1, 1, 1]),
        helper.make_node("Flatten", ["features"], ["flat"]),
    ], [], [constant("weight", rng.standard_normal((8, 3, 3, 3)).astype(np.float32))]
    for axis, side in (("x", width * 2), ("y", height * 2)):
        numbers += [constant(f"to_{axis}", rng.standard_normal((8 * 8 * 4, 3 * side)).astype(np.float32)),
                    constant(f"shape_{axis}", np.array([-1, 3, side]))]
        nodes += [helper.make_node("MatMul", ["flat", f"to_{axis}"], [f"long_{axis}"]),
                  helper.make_node("Reshape", [f"long_{axis}", f"shape_{axis}"], [f"simcc_{axis}"])]
        outputs.append(value(f"simcc_{axis}", [batch or "N", 3, side]))
    return save(path, nodes, outputs, numbers, facts("pose", batch=batch))


# By hand: 8 outputs of 27 products at 4 x 8 places; 256 numbers times 3 * 64 and times 3 * 128.
POSE_MACS = {"Conv": 8 * 27 * 4 * 8, "MatMul": 256 * 3 * 64 + 256 * 3 * 128}
POSE_PARAMETERS = 8 * 27 + 256 * 3 * (64 + 128)


def detector_file(path):
    """Two boxes that are always found, one above predict.py's threshold, moved by a convolution times nothing."""
    dets = np.array([[[2, 2, 20, 30, 0.9], [5, 5, 25, 60, 0.1]]], np.float32)
    nodes = [
        helper.make_node("Conv", ["input", "weight"], ["features"]),
        helper.make_node("ReduceMean", ["features"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
        helper.make_node("Reshape", ["zero", "column"], ["moved"]),
        helper.make_node("Add", ["moved", "found"], ["dets"]),
        helper.make_node("Slice", ["dets", "from", "to", "axis"], ["first"]),
        helper.make_node("Reshape", ["first", "flat"], ["flat_first"]),
        helper.make_node("Mul", ["flat_first", "nothing"], ["no_label"]),
        helper.make_node("Cast", ["no_label"], ["labels"], to=TensorProto.INT64),
    ]
    numbers = [constant("weight", np.ones((1, 3, 3, 3), np.float32)), constant("nothing", np.float32(0)),
               constant("column", np.array([-1, 1, 1])), constant("found", dets), constant("from", np.array([0])),
               constant("to", np.array([1])), constant("axis", np.array([2])), constant("flat", np.array([-1, 2]))]
    outputs = [value("dets", ["N", 2, 5]), value("labels", ["N", 2], TensorProto.INT64)]
    return save(path, nodes, outputs, numbers, facts("detector"))


class Misbehaving:
    """What a process may do."""

    def add(self, a, b):
        print("noise")
        return a + b

    def fail(self, error):
        raise error

    def fault(self, file, what):
        raise FaultsError([Fault(file, what)])

    def die(self):
        os._exit(7)

    def sleep(self):
        time.sleep(600)


def refuse():
    raise UserError("model.onnx: is no model")


def open_narrow(case):
    """A model that runs two crops at a time, and no more."""
    from pose_tools.benchmarking.workbench import open_case

    backend = open_case(case)
    run = backend.run

    def narrow(batch):
        if len(batch) > 2:
            raise MemoryError(f"no room for {len(batch)}")
        return run(batch)

    backend.run = narrow
    return backend
