"""int8 by post-training static quantisation of an ONNX graph, by ONNX Runtime's quantiser.

The file holds pairs of QuantizeLinear and DequantizeLinear (QDQ), from which ONNX Runtime and OpenVINO make int8
kernels. What was chosen by trial, on RTMPose-S and RTMDet-tiny and 100 rendered pictures:

* Ranges of activations by percentile rather than by extremes or entropy: half the error of box scores and a third off
  the 95th percentile of box corners, since single outliers no longer stretch the scale of a whole tensor.
* Activations as uint8 with a zero point, weights as int8 for each output channel. SiLU has a long side above zero and a
  short one below it; with int8 activations OpenVINO's AP of the detector fell from 0.596 to 0.565, with a scale that is
  symmetric about zero to 0.533.
* Sigmoid, product and sum as well as convolutions: a fifth faster in ONNX Runtime than convolutions alone, at the same
  AP.
* The last convolution of every path and all behind it stay in fp32: prediction layers, GAU, decoding and NMS. They
  cost little time, and what they round goes straight into coordinates and scores.

onnx and onnxruntime are imported inside functions.
"""
from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.export.onnx_file import write_onnx
from pose_tools.export.parity.pictures import Pictures
from pose_tools.export.parity.poses import run_pose
from pose_tools.export.parity.recording import Blank
from pose_tools.inference.runtime.facts import ModelFacts

if TYPE_CHECKING:
    import onnx

# With 8 the 99th percentile of keypoint distances was 5.5 px, with 16 it was 4.5, with 32 and 64 3.5; the AP did not
# hang on it.
PICTURES = 32
# Beside convolutions: what lies between them, so that a tensor need not become float32 and uint8 again.
QUANTISED = ("Conv", "Mul", "Sigmoid", "Add", "Concat", "MaxPool", "Resize")


def calibration_batches(images: Optional[Path], checkpoint: Path, facts: ModelFacts,
                        count: int = PICTURES) -> list[np.ndarray]:
    """Prepares pictures as the network takes them.

    Args:
        images: A folder of pictures or a COCO file. ``None`` takes the training set that the checkpoint's config names.
        checkpoint: The checkpoint.
        facts: About the graph to quantise: normalised float32, or pixels if it is end to end.
        count: How many pictures, or crops of a keypoint model.

    Returns:
        Batches of one picture or crop each, in the layout of the network input.

    Raises:
        UserError: There are no pictures; rendered ones will do for the model of the demo only.
    """
    pictures = Pictures.of(images, checkpoint, facts, "train", count)
    if images is None and pictures.truth is None:
        raise UserError(f"int8 needs pictures like those the model will see, and the training set of {checkpoint.name} "
                        "is not here: give some with --calibration")
    blank = Blank(replace(facts, batch=None))
    if facts.task == "pose":
        run_pose(blank, pictures.up_to(count), 1)
    else:
        from pose_tools.export.parity.detections import run_detector

        run_detector(blank, pictures)
    return [_filled(batch, facts.batch) for batch in blank.inputs]


def _filled(batch: np.ndarray, count: Optional[int]) -> np.ndarray:
    return batch if count is None else np.repeat(batch, count, axis=0)


def quantize_int8(onnx_in: Path, onnx_out: Path, facts: ModelFacts, batches: Iterable[np.ndarray]) -> None:
    """Quantises a graph.

    Args:
        onnx_in: In fp32.
        onnx_out: Where to write, with the metadata of ``facts`` in precision int8; the same bytes each time.
        facts: About the graph.
        batches: What ranges of activations are measured on, in the layout of the network input.

    Raises:
        UserError: There is nothing to measure on, or nothing to quantise.
    """
    import onnx

    model = onnx.load(str(onnx_in))
    keep = kept_in_fp32(model)
    if not any(node.op_type == "Conv" and node.name not in keep for node in model.graph.node):
        raise UserError(f"{onnx_in.name}: there is no convolution to quantise")
    reader = _Reader(model.graph.input[0].name, batches)
    if not len(reader):
        raise UserError("int8 needs pictures to measure activations on, and there is none")
    quantised = _quantise(model, keep, reader)
    write_onnx(quantised, onnx_out, replace(facts, precision="int8").to_metadata())


def kept_in_fp32(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes that stay as they are: the last convolution of every path and all that lies behind one.

    Also whatever no convolution leads to, as the normalisation of an end-to-end graph. Nodes without a name get one.

    Args:
        model: The graph.
    """
    nodes = list(model.graph.node)  # in an order in which what is used comes first, as ONNX demands
    for number, node in enumerate(nodes):
        node.name = node.name or f"{node.op_type}_{number}"
    to_convolution: set[str] = set()  # tensors from which one is reached
    last, behind, fed = set(), set(), set()
    for node in reversed(nodes):
        leads_on = not to_convolution.isdisjoint(node.output)
        if node.op_type == "Conv" and not leads_on:
            last.add(node.name)
        if node.op_type == "Conv" or leads_on:
            to_convolution.update(node.input)
    keep = set(last)
    for node in nodes:
        if node.name in last or not behind.isdisjoint(node.input):
            behind.update(node.output)
            keep.add(node.name)
        if node.op_type == "Conv" or not fed.isdisjoint(node.input):
            fed.update(node.output)
        else:
            keep.add(node.name)
    return keep


class _Reader:
    """Batches for ONNX Runtime's calibration, which asks for them a range at a time."""

    def __init__(self, name: str, batches: Iterable[np.ndarray]) -> None:
        self._name, self._batches = name, list(batches)
        self.set_range(0, len(self._batches))

    def __len__(self) -> int:
        return len(self._batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._next = iter(self._batches[start_index:end_index])

    def get_next(self) -> Optional[dict[str, np.ndarray]]:
        batch = next(self._next, None)
        return None if batch is None else {self._name: batch}


def _quantise(model: onnx.ModelProto, keep: Iterable[str], reader: _Reader) -> onnx.ModelProto:
    import tempfile

    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    add_pre_process_metadata(model)  # it is simplified and its shapes are inferred: nothing is left to prepare
    with tempfile.TemporaryDirectory() as folder, _quiet():
        target = Path(folder) / "int8.onnx"
        quantize_static(
            model, target, reader, quant_format=QuantFormat.QDQ, op_types_to_quantize=list(QUANTISED),
            per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            nodes_to_exclude=sorted(keep), calibrate_method=CalibrationMethod.Percentile,
            # One batch after the other: it would keep the activations of all of them in memory otherwise.
            extra_options={"CalibStridedMinMax": 1, "CalibTensorRangeSymmetric": False})
        return onnx.load(str(target))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what the quantiser prints to itself."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.root.setLevel(level)


@dataclass(frozen=True)
class LayerError:
    """How far a convolution's output is off in int8.

    Attributes:
        name: Of its output.
        decibel: Signal to noise: 20 is an error of a tenth, 40 of a hundredth.
    """

    name: str
    decibel: float


def layer_errors(fp32: Path, int8: Path, batches: Sequence[np.ndarray], count: int = 4) -> list[LayerError]:
    """Compares the outputs of every quantised convolution of two graphs, the worst first.

    Each holds the error of all layers before it as well, so the place to look at is where it falls steeply.

    Args:
        fp32: The graph that was quantised.
        int8: The result.
        batches: What to run both on.
        count: How many of them.
    """
    import onnx

    model = onnx.load(str(fp32))
    keep = kept_in_fp32(model)
    names = [node.output[0] for node in model.graph.node if node.op_type == "Conv" and node.name not in keep]
    exact, rounded = (_outputs(onnx.load(str(path)), names, batches[:count]) for path in (fp32, int8))
    found = []
    for name, a, b in zip(names, exact, rounded):
        noise, signal = float(np.square(a - b).sum()), float(np.square(a).sum())
        found.append(LayerError(name, 10 * float(np.log10(signal / noise)) if noise and signal else float("inf")))
    return sorted(found, key=lambda each: each.decibel)


def _outputs(model: onnx.ModelProto, names: Sequence[str], batches: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What a graph computes inside, unoptimised: fused nodes would hide it."""
    import onnxruntime
    from onnx import TensorProto, helper

    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    options: Any = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    runs = [session.run(list(names), {session.get_inputs()[0].name: batch}) for batch in batches]
    return [np.concatenate([each.ravel() for each in parts]) for parts in zip(*runs)]
