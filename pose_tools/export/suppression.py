"""NMS as ONNX nodes behind a detector's graph: (N, P, 4) boxes and (N, C, P) scores become detections.

The nodes are added to the finished graph rather than traced, so they do not hang on how a version of torch writes
them, and all of them stay in fp32 whatever the network is made into.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import onnx

PREFIX = "nms/"  # of the names of all nodes and constants here


class Rules(Protocol):
    """How boxes become detections; ``pose_tools.openmmlab.graphs.models.Suppression`` says what each is."""

    score_threshold: float
    iou_threshold: float
    max_per_image: int
    class_agnostic: bool


def add_suppression(model: onnx.ModelProto, rules: Rules) -> None:
    """Replaces the outputs ``boxes`` and ``scores`` by ``dets`` and ``labels``.

    ``dets`` is (N, M, 5) float32 x1 y1 x2 y2 score, best first, and ``labels`` (N, M) int64; M is the most that an
    image can have, and rows beyond its last detection are 0 and have label -1. Class by class, as
    ``mmcv.ops.batched_nms`` does, so the detections are mmdet's to float rounding.

    Args:
        model: With outputs ``boxes`` (N, P, 4), x1 y1 x2 y2 in input px, and ``scores`` (N, C, P); changed.
        rules: Thresholds and counts.
    """
    from onnx import TensorProto, helper

    batch, count = _dimensions(model, "boxes")[:2]
    classes = _dimensions(model, "scores")[1]
    most = min(rules.max_per_image, classes * count)
    add = _Adder(model)
    boxes, scores = "boxes", "scores"
    if rules.class_agnostic and classes > 1:  # one class of all, in which a box comes once for each label
        boxes = add("Concat", "all_boxes", [boxes] * classes, axis=1)
        scores = add("Reshape", "all_scores", [scores, add.constant("one_class", [0, 1, classes * count])])
    flat = add("Reshape", "flat", [_kept_scores(add, boxes, scores, rules, most), add.constant("rows", [0, -1])])
    values, places = add("TopK", ("best", "places"), [flat, add.constant("most", [most])], axis=1)
    labels = add("Div", "label", [places, add.constant("count", count)])
    rows = add("Unsqueeze", "rows_of_best", [add("Mod", "box", [places, add.constant("count", count)]),
                                             add.constant("last", [-1])])
    column = add("Unsqueeze", "best_column", [values, add.constant("last", [-1])])
    found = add("Concat", "rows_found", [add("GatherND", "best_boxes", ["boxes", rows], batch_dims=1), column], axis=2)
    nothing = add.constant("nothing", 0.0)
    add("Where", "dets", [add("Greater", "found_column", [column, nothing]), found, nothing], output="dets")
    add("Where", "labels", [add("Greater", "found", [values, nothing]), labels, add.constant("no_label", -1)],
        output="labels")
    del model.graph.output[:]
    model.graph.output.extend([
        helper.make_tensor_value_info("dets", TensorProto.FLOAT, [batch, most, 5]),
        helper.make_tensor_value_info("labels", TensorProto.INT64, [batch, most])])


def _kept_scores(add: _Adder, boxes: str, scores: str, rules: Rules, most: int) -> str:
    """Adds NMS and gives the scores (N, C, P) in which all that it dropped is 0."""
    kept = add("NonMaxSuppression", "kept", [
        boxes, scores, add.constant("most_of_class", [most]),
        add.constant("iou_threshold", [rules.iou_threshold]), add.constant("score_threshold", [rules.score_threshold])])
    empty = add("Mul", "no_scores", [scores, add.constant("nothing", 0.0)])
    return add("ScatterND", "kept_scores", [empty, kept, add("GatherND", "scores_of_kept", [scores, kept])])


class _Adder:
    """Adds nodes and constants to a graph, by short names."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.constants: set[str] = set()

    def __call__(self, kind: str, name: Any, inputs: list[str], output: str = "", **attributes: Any) -> Any:
        from onnx import helper

        names = name if isinstance(name, tuple) else (name, )
        outputs = [output] if output else [f"{PREFIX}{each}" for each in names]
        self.graph.node.append(helper.make_node(kind, inputs, outputs, name=f"{PREFIX}{names[0]}", **attributes))
        return outputs if isinstance(name, tuple) else outputs[0]

    def constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        array = np.asarray(value)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        if name not in self.constants:
            self.constants.add(name)
            self.graph.initializer.append(numpy_helper.from_array(array, f"{PREFIX}{name}"))
        return f"{PREFIX}{name}"


def _dimensions(model: onnx.ModelProto, output: str) -> list[Any]:
    """Sizes of an output; names of free ones."""
    [value] = [each for each in model.graph.output if each.name == output]
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
