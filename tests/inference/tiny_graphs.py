"""ONNX files of a few nodes that do find something: the reddest, greenest and bluest place of a crop."""
from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.runtime.facts import ModelFacts

SIZE = (32, 16)  # (w, h) of the crops
COLOURS = KeypointSet(("thing",), ("red", "green", "blue"), (("red", "blue"),), (("red", "green"),))
POSE = ModelFacts("pose", "colours", ("thing",), COLOURS, SIZE, (0.0, 0.0, 0.0), (255.0, 255.0, 255.0), True,
                  bbox_padding=1.0)
DETECTOR = ModelFacts("detector", "middle", ("thing",), None, (64, 64), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), False,
                      batch=1)


def _save(path, nodes, constants, inputs, outputs, metadata):
    graph = helper.make_graph(nodes, "graph", inputs, outputs,
                              [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
    return path


def save_pose(path, facts=POSE, metadata=None, batch="N"):
    """Writes a graph whose SimCC rows are the sums of a colour over columns and rows, each in ``ratio`` bins.

    Args:
        path: Where.
        facts: Say input size and split ratio.
        metadata: Instead of the facts.
        batch: Of input and outputs.
    """
    (width, height), ratio = SIZE, int(facts.simcc_split_ratio)
    bins = {name: np.zeros((side, side * ratio), np.float32) for name, side in (("to_x", width), ("to_y", height))}
    for table in bins.values():
        for px in range(len(table)):
            table[px, px * ratio] = 1
    nodes = [helper.make_node("ReduceSum", ["input", "rows"], ["columns_of"], keepdims=0),
             helper.make_node("ReduceSum", ["input", "columns"], ["rows_of"], keepdims=0),
             helper.make_node("MatMul", ["columns_of", "to_x"], ["simcc_x"]),
             helper.make_node("MatMul", ["rows_of", "to_y"], ["simcc_y"])]
    value = helper.make_tensor_value_info
    return _save(path, nodes, {**bins, "rows": np.array([2]), "columns": np.array([3])},
                 [value("input", TensorProto.FLOAT, [batch, 3, height, width])],
                 [value("simcc_x", TensorProto.FLOAT, [batch, 3, width * ratio]),
                  value("simcc_y", TensorProto.FLOAT, [batch, 3, height * ratio])],
                 facts.to_metadata() if metadata is None else metadata)


def save_detector(path, facts=DETECTOR, boxes=((16, 16, 48, 32, 0.9), (0, 0, 8, 8, 0.2))):
    """Writes a graph that gives the same boxes (x1 y1 x2 y2 score, input px) for every picture, and one empty row."""
    dets = np.array([*boxes, (0, 0, 0, 0, 0)], np.float32)[None]
    labels = np.array([[*[0] * len(boxes), -1]], np.int64)
    # Something of the input has to be in it, or a runtime drops the input.
    nodes = [helper.make_node("ReduceMin", ["input"], ["least"], keepdims=0),
             helper.make_node("Mul", ["least", "nothing"], ["zero"]),
             helper.make_node("Add", ["all_dets", "zero"], ["dets"]),
             helper.make_node("Identity", ["all_labels"], ["labels"])]
    value, (width, height) = helper.make_tensor_value_info, facts.input_size
    return _save(path, nodes, {"all_dets": dets, "all_labels": labels, "nothing": np.float32(0)},
                 [value("input", TensorProto.FLOAT, [1, 3, height, width])],
                 [value("dets", TensorProto.FLOAT, [1, len(dets[0]), 5]),
                  value("labels", TensorProto.INT64, [1, len(dets[0])])], facts.to_metadata())
