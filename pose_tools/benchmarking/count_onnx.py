"""Counting the operations of an ONNX graph from the shapes of its tensors.

Formulas as in the ONNX operators' definitions (https://onnx.ai/onnx/operators): each output element of a convolution is
a sum over Cin / groups * kernel products, each of a matrix product a sum over the inner dimension; in a transposed
convolution each *input* element is spread over Cout / groups * kernel.
"""
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from pose_tools.benchmarking.complexity import Complexity
from pose_tools.console import UserError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

Shapes = dict[str, tuple[int, ...]]
# Where the input and the weights stand among a node's inputs.
_CONVOLUTIONS = {"Conv": (0, 1), "ConvInteger": (0, 1), "QLinearConv": (0, 3)}
_TRANSPOSED = {"ConvTranspose": (0, 1)}
_PRODUCTS = {"Gemm": (0, 1), "MatMul": (0, 1), "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3), "FusedMatMul": (0, 1)}
_COUNTED = {*_CONVOLUTIONS, *_TRANSPOSED, *_PRODUCTS}
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


def complexity_of_onnx(path: Path, shape: Sequence[int]) -> Complexity:
    """Counts an ONNX file.

    Args:
        path: The file.
        shape: Of its first input, dynamic dimensions included.

    Raises:
        UserError: The file is no ONNX model.
        ImportError: The package onnx is not installed.
    """
    import onnx

    try:
        model = onnx.load(str(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except Exception as error:  # protobuf's errors differ between its versions
        raise UserError(f"{path}: is no ONNX model: {type(error).__name__}: {error}") from error
    return count_graph(model, shape)


def count_graph(model: ModelProto, shape: Sequence[int]) -> Complexity:
    """Counts a graph.

    Args:
        model: Left as it is.
        shape: Of its first input.
    """
    shapes, by_operator, uncounted = infer_shapes(model, shape), {}, 0
    for node in model.graph.node:
        if node.op_type in _COUNTED:
            macs = node_macs(node, shapes)
            uncounted += macs is None
            by_operator[node.op_type] = by_operator.get(node.op_type, 0) + (macs or 0)
        # How often a branch or the body of a loop runs is not in the file.
        uncounted += sum(inner.op_type in _COUNTED for inner in _nodes_inside(node))
    return Complexity(sum(by_operator.values()), _parameters(model.graph), by_operator, uncounted)


def infer_shapes(model: ModelProto, shape: Sequence[int]) -> Shapes:
    """Shapes of all tensors whose shape is known once that of the first input is.

    Args:
        model: Left as it is.
        shape: Of its first input.
    """
    import onnx
    from onnx import shape_inference

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]  # what the exporter noted holds for its own, perhaps dynamic, input
    weights = {each.name for each in copy.graph.initializer}
    first = next(each for each in copy.graph.input if each.name not in weights)
    first.type.tensor_type.ClearField("shape")
    for size in shape:
        first.type.tensor_type.shape.dim.add().dim_value = size
    for output in copy.graph.output:
        output.type.tensor_type.ClearField("shape")
    graph = shape_inference.infer_shapes(copy, data_prop=True).graph
    found: Shapes = {each.name: tuple(each.dims) for each in _constants(graph)}
    for each in (*graph.input, *graph.value_info, *graph.output):
        tensor = each.type.tensor_type
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            found[each.name] = tuple(dim.dim_value for dim in tensor.shape.dim)
    return found


def node_macs(node: NodeProto, shapes: Shapes) -> Optional[int]:
    """MACs of a convolution or matrix product; ``None`` where a shape is not known."""
    kinds = {**_CONVOLUTIONS, **_TRANSPOSED, **_PRODUCTS}
    first, second = (shapes.get(node.input[place]) for place in kinds[node.op_type])
    out = shapes.get(node.output[0])
    if node.op_type in _TRANSPOSED:
        return math.prod(first) * math.prod(second[1:]) if first and second else None
    if out is None:
        return None
    if node.op_type in _CONVOLUTIONS:
        return math.prod(out) * math.prod(second[1:]) if second else None
    inner = _inner(node, first, second)
    return None if inner is None else math.prod(out) * inner


def _inner(node: NodeProto, first: Optional[tuple[int, ...]], second: Optional[tuple[int, ...]]) -> Optional[int]:
    """The dimension that a matrix product sums over."""
    if first:
        return first[-2 if _attribute(node, "transA") and len(first) > 1 else -1]
    if second:
        return second[-1] if _attribute(node, "transB") else second[-2 if len(second) > 1 else 0]
    return None


def _attribute(node: NodeProto, name: str) -> Any:
    return next((each.i for each in node.attribute if each.name == name), 0)


def _nodes_inside(node: NodeProto) -> Iterator[NodeProto]:
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            for inner in graph.node:
                yield inner
                yield from _nodes_inside(inner)


class _Constant:
    """A constant's output name and its tensor, whose own name is often empty."""

    def __init__(self, name: str, tensor: TensorProto) -> None:
        self.name, self.dims, self.data_type = name, tensor.dims, tensor.data_type


def _constants(graph: GraphProto) -> Iterator[_Constant]:
    for tensor in graph.initializer:
        yield _Constant(tensor.name, tensor)
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                yield _Constant(node.output[0], attribute.t)


def _parameters(graph: GraphProto) -> int:
    """Numbers of the graph, without the integers that shapes and indices are made of, and without scales of int8."""
    from onnx import TensorProto

    kinds = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE, TensorProto.INT8,
             TensorProto.UINT8}
    # Biases are int32 in quantized files.
    quantized = {node.input[0] for node in graph.node if node.op_type in _QUANTIZERS}
    scales = {name for node in graph.node if node.op_type in _QUANTIZERS for name in node.input[1:]}
    return sum(math.prod(each.dims) for each in _constants(graph)
               if each.name not in scales and (each.data_type in kinds or each.name in quantized))
