"""Counting the operations of an OpenVINO model from the shapes of its tensors.

Layouts of weights as in the operation set (https://docs.openvino.ai, "Available Operations"): Convolution
(Cout, Cin, kernel), GroupConvolution (groups, Cout / groups, Cin / groups, kernel), and with Cin before Cout in the
transposed ones, which OpenVINO calls ConvolutionBackpropData.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from pose_tools.benchmarking.complexity import Complexity
from pose_tools.console import UserError

if TYPE_CHECKING:
    from openvino import Model, Node

# By how many leading dimensions of the weights an output (or, transposed, an input) element is *not* multiplied.
_CONVOLUTIONS = {"Convolution": 1, "GroupConvolution": 2}
_TRANSPOSED = {"ConvolutionBackpropData": 1, "GroupConvolutionBackpropData": 2}
_COUNTED = (*_CONVOLUTIONS, *_TRANSPOSED, "MatMul")
_NUMBERS = ("f16", "bf16", "f32", "f64", "i8", "u8")


def complexity_of_openvino(path: Path, shape: Sequence[int]) -> Complexity:
    """Counts a model file.

    Args:
        path: The ``.xml``, beside its ``.bin``; or anything else that OpenVINO reads.
        shape: Of its first input, dynamic dimensions included.

    Raises:
        UserError: OpenVINO cannot read the file, or not with this shape.
        ImportError: OpenVINO is not installed.
    """
    from pose_tools.inference.runtime.quiet_openvino import openvino_core

    core = openvino_core()
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        model = core.read_model(str(path))
        model.reshape({model.input(0): list(shape)})
    except RuntimeError as error:
        raise UserError(f"{path}: OpenVINO cannot read it: {str(error).strip().splitlines()[-1]}") from error
    return count_model(model)


def count_model(model: Model) -> Complexity:
    """Counts a model whose input shape is fixed."""
    by_operator: dict[str, int] = {}
    parameters = uncounted = 0
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind in _COUNTED:
            macs = node_macs(node)
            uncounted += macs is None
            by_operator[kind] = by_operator.get(kind, 0) + (macs or 0)
        elif kind == "Constant" and node.get_element_type().get_type_name() in _NUMBERS:
            parameters += math.prod(node.get_output_shape(0))
    return Complexity(sum(by_operator.values()), parameters, by_operator, uncounted)


def node_macs(node: Node) -> Optional[int]:
    """MACs of a convolution or matrix product; ``None`` where a shape is not known."""
    out, first, second = (_shape(part) for part in (node.output(0), node.input(0), node.input(1)))
    kind = node.get_type_name()
    if out is None or first is None or second is None:
        return None
    if kind in _CONVOLUTIONS:
        return math.prod(out) * math.prod(second[_CONVOLUTIONS[kind]:])
    if kind in _TRANSPOSED:
        return math.prod(first) * math.prod(second[_TRANSPOSED[kind]:])
    turned = node.get_attributes().get("transpose_a") and len(first) > 1
    return math.prod(out) * first[-2 if turned else -1]


def _shape(part: Any) -> Optional[tuple[int, ...]]:
    shape = part.get_partial_shape()
    return tuple(shape.to_shape()) if shape.is_static else None
