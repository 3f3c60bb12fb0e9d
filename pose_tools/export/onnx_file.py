"""ONNX: simplified, checked, with everything in it that a stranger needs to run it."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pose_tools.console import UserError
from pose_tools.export.suppression import add_suppression

if TYPE_CHECKING:
    import onnx

    from pose_tools.openmmlab.graphs.trace import BuiltGraph


def make_onnx(built: BuiltGraph, opset: int) -> onnx.ModelProto:
    """Makes the ONNX graph of a network in one of our layouts, in fp32.

    Args:
        built: The network.
        opset: Of the file.

    Raises:
        UserError: The network holds what torch does not write as ONNX, or what came out is not valid.
    """
    import onnx
    import onnxslim

    from pose_tools.openmmlab.graphs.trace import graph_to_onnx

    try:
        traced = graph_to_onnx(built, opset)
    except (RuntimeError, ValueError) as error:  # an opset or an operator that this torch does not write
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"torch does not write this network as ONNX with opset {opset}: {said}") from error
    model = onnxslim.slim(onnx.load_model_from_string(traced))
    if built.suppression is not None:
        add_suppression(model, built.suppression)
    model.producer_name, model.producer_version, model.doc_string = "", "", ""
    model.graph.name = "graph"
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise UserError(f"the exported graph is no valid ONNX: {error}") from error
    return model


def write_onnx(model: onnx.ModelProto, path: Path, metadata: Mapping[str, str]) -> None:
    """Writes a graph with its metadata, the same bytes each time.

    Args:
        model: The graph; its metadata are replaced.
        path: Where to write.
        metadata: ``ModelFacts.to_metadata()``.
    """
    from onnx import helper

    del model.metadata_props[:]
    helper.set_model_props(model, dict(metadata))
    path.write_bytes(model.SerializeToString(deterministic=True))
