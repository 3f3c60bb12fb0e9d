"""fp16 weights and arithmetic for the network; inputs, outputs and all that decodes stay in fp32.

The converter that comes with ONNX Runtime (``onnxruntime.transformers.float16`` of 1.31) takes every value between two
nodes that are to stay in fp32 through fp16, so boxes would be rounded to half a px at 1024, and writes two nodes of one
name where such a value is used twice, so the file does not load. Hence a conversion of our own, for graphs such as
ours: one level, no control flow.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx

# What has weights. Between the first and the last of these lies the network; before it pixels become its input, and
# behind it boxes and keypoints are computed, whose coordinates fp16 (11 bits) would round.
_WEIGHTED = frozenset(("Conv", "MatMul", "Gemm"))
# Sums over a feature map can pass fp16's largest number.
_SUMS = frozenset(("ReduceL2", "ReduceSum", "ReduceSumSquare", "ReduceMean", "Pow"))
_LARGEST = float(np.finfo(np.float16).max)


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Makes the network of a graph fp16; it is cast where fp16 and fp32 meet.

    Args:
        model: In fp32; stays as it is.
    """
    return _Halving(model).result()


def network_nodes(model: onnx.ModelProto) -> list[bool]:
    """Says of each node whether it lies between weights: some are on a way to it and some on a way from it."""
    nodes = list(model.graph.node)  # what is used comes before its users, as ONNX demands
    before: set[str] = set()
    behind: set[str] = set()
    for node in nodes:
        if node.op_type in _WEIGHTED or not before.isdisjoint(node.input):
            before.update(node.output)
    for node in reversed(nodes):
        if node.op_type in _WEIGHTED or not behind.isdisjoint(node.output):
            behind.update(node.input)
    return [node.op_type in _WEIGHTED or not (before.isdisjoint(node.output) or behind.isdisjoint(node.output))
            for node in nodes]


class _Halving:
    """One conversion: walks the nodes in order and keeps what each value is in.

    Args:
        model: In fp32.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        from onnx import ModelProto, TensorProto, shape_inference

        self.model, self.half, self.single = ModelProto(), TensorProto.FLOAT16, TensorProto.FLOAT
        self.model.CopyFrom(model)
        inferred = shape_inference.infer_shapes(model).graph
        self.types = {value.name: value.type.tensor_type.elem_type
                      for value in (*inferred.input, *inferred.output, *inferred.value_info)}
        self.weights = {each.name: each for each in self.model.graph.initializer}
        self.nodes: list[onnx.NodeProto] = []
        self.cast: dict[tuple[str, int], str] = {}
        self.weights_as_they_are: set[str] = set()

    def result(self) -> onnx.ModelProto:
        """Converts all nodes."""
        graph = self.model.graph
        ends = {value.name for value in graph.output}
        for node, inside in zip(list(graph.node), network_nodes(self.model)):
            halved = inside and node.op_type not in _SUMS
            for place, name in enumerate(node.input):
                # Of Resize the picture alone may be fp16, not its scales.
                fitting = self.half if halved and not (node.op_type == "Resize" and place) else self.single
                node.input[place] = self._as(name, fitting)
            self.nodes.append(node)
            if halved:
                self._halve_outputs(node, ends)
        del graph.node[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        used = [each for each in graph.initializer
                if each.data_type != self.single or each.name in self.weights_as_they_are]
        del graph.initializer[:]
        graph.initializer.extend(used)
        return self.model

    def _as(self, name: str, wanted: int) -> str:
        """Gives the name of a value in the wanted type, as far as it is a float at all."""
        from onnx import helper, numpy_helper

        if name in self.weights:
            if self.weights[name].data_type != self.single or wanted == self.single:
                self.weights_as_they_are.add(name)
                return name
            if (name, wanted) not in self.cast:
                values = numpy_helper.to_array(self.weights[name]).clip(-_LARGEST, _LARGEST).astype(np.float16)
                self.cast[name, wanted] = f"{name}_fp16"
                self.model.graph.initializer.append(numpy_helper.from_array(values, f"{name}_fp16"))
        elif self.types.get(name) not in (self.half, self.single) or self.types[name] == wanted:
            return name
        elif (name, wanted) not in self.cast:
            self.cast[name, wanted] = f"{name}_{'fp16' if wanted == self.half else 'fp32'}"
            self.nodes.append(helper.make_node("Cast", [name], [self.cast[name, wanted]], to=wanted,
                                               name=f"cast/{self.cast[name, wanted]}"))
        return self.cast[name, wanted]

    def _halve_outputs(self, node: onnx.NodeProto, ends: set[str]) -> None:
        from onnx import helper

        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == self.single:
                attribute.i = self.half
        for place, name in enumerate(node.output):
            if self.types.get(name) != self.single:
                continue
            if name not in ends:
                self.types[name] = self.half
                continue
            # An output of the graph keeps its name and type; nodes behind it take the value before it is cast.
            node.output[place] = self.cast[name, self.half] = f"{name}_fp16"
            self.types[f"{name}_fp16"] = self.half
            self.nodes.append(helper.make_node("Cast", [f"{name}_fp16"], [name], to=self.single, name=f"cast/{name}"))
