"""OpenVINO's own format: ``.xml`` and ``.bin``, made from ONNX."""
from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pose_tools.console import UserError

METADATA_PLACE = "model_info"  # of rt_info, where OpenVINO's own tools keep such facts
_LAYERS_WITH_WEIGHTS = ("MatMul", "Convolution", "GroupConvolution")


def write_openvino(onnx_file: Path, path: Path, metadata: Mapping[str, str], precision: str) -> list[Path]:
    """Converts ONNX.

    Args:
        onnx_file: In fp32, or quantised.
        path: ``.xml`` to write; the weights go beside it, ``.bin``.
        metadata: ``ModelFacts.to_metadata()``.
        precision: With ``fp16`` weights are kept in half the space, and a device computes in what it is good at.
            ``bf16`` is a matter of running: weights stay as they are, and who opens the file asks for it.

    Returns:
        The files, weights first: whoever sees the ``.xml`` finds the whole model.

    Raises:
        UserError: OpenVINO is not installed, or does not read the graph.
    """
    from pose_tools.inference.runtime.quiet_openvino import import_openvino, openvino_core

    try:
        openvino = import_openvino()
    except ImportError as error:
        raise UserError("--format openvino needs OpenVINO: pip install openvino") from error
    try:
        model = openvino_core().read_model(str(onnx_file))
    except RuntimeError as error:
        raise UserError(f"OpenVINO {openvino.__version__} does not read the exported graph: {error}") from error
    if model.has_rt_info("framework"):
        del model.get_rt_info()["framework"]  # the metadata of the ONNX file, which are those of another format
    for number, node in enumerate(model.get_ordered_ops()):
        kind = node.get_type_name()
        if re.fullmatch(rf"{kind}_\d+", node.get_friendly_name()):
            # OpenVINO numbers these through the whole process, and the file is to be the same each time.
            node.set_friendly_name(f"{kind}_{number}")
    for key, value in metadata.items():
        model.set_rt_info(value, [METADATA_PLACE, key])
    openvino.save_model(model, str(path), compress_to_fp16=precision == "fp16")
    if precision != "int8":
        _mark_exact(path, _last_layers(model))
    return [path.with_suffix(".bin"), path]


def _last_layers(model: Any) -> set[str]:
    """Names of the layers with weights whose results reach the outputs without another such layer."""
    found, seen = set(), set()
    nodes = [result.input_value(0).get_node() for result in model.get_results()]
    while nodes:
        node = nodes.pop()
        name = node.get_friendly_name()
        if name in seen:
            continue
        seen.add(name)
        if node.get_type_name() in _LAYERS_WITH_WEIGHTS:
            found.add(name)
        else:
            nodes += [each.get_node() for each in node.input_values()]
    return found


def _mark_exact(path: Path, names: set[str]) -> None:
    """Has layers computed in fp32 where the network runs in less: OpenVINO's mark, for which Python has no call.

    They cost next to nothing. In bf16 they gave SimCC rows whose highest bins were equal, and then the first is taken:
    one point in three of an end-to-end model was moved by a bin or two.
    """
    tree = ElementTree.parse(path)
    for layer in tree.iter("layer"):
        if layer.get("name") in names:
            info = layer.find("rt_info")
            if info is None:
                info = ElementTree.Element("rt_info")
                layer.insert(1 if layer[0].tag == "data" else 0, info)
            ElementTree.SubElement(info, "attribute", {"name": "precise", "version": "0"})
    tree.write(path, encoding="utf-8", xml_declaration=True)
