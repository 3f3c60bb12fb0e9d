"""From a checkpoint to ONNX and TorchScript, as bytes: what of an export needs torch."""
from __future__ import annotations

import contextlib
import inspect
import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import torch
from torch import nn

from pose_tools.openmmlab.graphs.models import (
    DecodedPose,
    DetectorGraph,
    FromPixels,
    Pixels,
    PoseGraph,
    Suppression,
    load_network,
)
from pose_tools.openmmlab.graphs.suppression import SuppressedDetector


@dataclass(frozen=True)
class BuiltGraph:
    """A network ready to be written into files.

    Attributes:
        module: Takes a batch and gives the tensors that ``module.output_names`` names.
        sample: A batch of one of our layouts, of 2 images, or of ``batch``.
        suppression: How a detector's boxes become detections; ``None`` for keypoint models.
        batch: Images of a batch; ``None`` for any number.
    """

    module: nn.Module
    sample: torch.Tensor
    suppression: Optional[Suppression]
    batch: Optional[int]


def build_graph(checkpoint: Path, pixels: Pixels, end_to_end: bool, batch: Optional[int] = None) -> BuiltGraph:
    """Reads a checkpoint and makes the graph of one of the layouts of ``models``.

    Args:
        checkpoint: Carries its config.
        pixels: Input size and how pixels are normalised.
        end_to_end: Whether the graph takes pixels and, of a keypoint model, gives keypoints.
        batch: Images of a batch; ``None`` for any number.

    Raises:
        UserError: It is no model that can be exported in this way.
    """
    network = load_network(checkpoint)
    width, height = pixels.input_size
    suppression = None
    if network.cfg.default_scope == "mmpose":
        module: nn.Module = PoseGraph(network, checkpoint)
        module = DecodedPose(module, checkpoint) if end_to_end else module
    else:
        module = DetectorGraph(network, pixels.input_size, checkpoint)
        suppression = module.suppression
    count = batch or 2
    torch_state = torch.Generator().manual_seed(0)
    if end_to_end:
        module = FromPixels(module, network, pixels, checkpoint)
        sample = torch.randint(0, 256, (count, height, width, 3), generator=torch_state, dtype=torch.uint8)
    else:
        sample = torch.randn(count, 3, height, width, generator=torch_state)
    return BuiltGraph(module.eval(), sample, suppression, batch)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Tracing warns of every Python number it fixes, and these are meant to be fixed: sizes, not images."""
    with warnings.catch_warnings(), torch.no_grad():
        for kind in (torch.jit.TracerWarning, DeprecationWarning, FutureWarning, UserWarning):
            warnings.simplefilter("ignore", kind)
        yield


def graph_to_onnx(built: BuiltGraph, opset: int) -> bytes:
    """Writes a graph as ONNX, before NMS: see ``models`` for inputs and outputs.

    The exporter that records a trace is used: it is in every torch from 2.1 to 2.13 and needs no other package.

    Args:
        built: The graph.
        opset: Of the file.
    """
    names = list(built.module.output_names)
    axes = {name: {0: "batch"} for name in ("input", *names)} if built.batch is None else {}
    known = inspect.signature(torch.onnx.export).parameters
    options: dict[str, Any] = {"dynamo": False} if "dynamo" in known else {}
    target = io.BytesIO()
    with _quietly():
        torch.onnx.export(built.module, (built.sample, ), target, input_names=["input"], output_names=names,
                          dynamic_axes=axes, opset_version=opset, do_constant_folding=True, **options)
    return target.getvalue()


def final_module(built: BuiltGraph) -> nn.Module:
    """The network with NMS of detectors in it, as TorchScript holds it."""
    if built.suppression is None:
        return built.module
    return SuppressedDetector(built.module, built.suppression).eval()


def graph_to_torchscript(built: BuiltGraph, metadata: Mapping[str, str]) -> bytes:
    """Writes a graph as TorchScript, with NMS of detectors in it; ``torch.jit.load`` reads it without mm*.

    Args:
        built: The graph; a dynamic one takes any number of images.
        metadata: Texts by name, kept in the file beside the graph (``_extra_files`` of ``torch.jit.load``).
    """
    target = io.BytesIO()
    with _quietly():
        traced = torch.jit.freeze(torch.jit.trace(final_module(built), built.sample, check_trace=False))
        torch.jit.save(traced, target, _extra_files=dict(metadata))
    return target.getvalue()
