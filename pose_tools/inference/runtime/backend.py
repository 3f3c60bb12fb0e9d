"""What a library that runs models offers here, and whether a graph is what its facts say."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional, Protocol, Union

import numpy as np

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.formats.schema import read_meta
from pose_tools.inference.runtime.facts import ModelFacts, has_facts

Shape = Sequence[Union[int, str, None]]  # a side that may vary is no int


class Backend(Protocol):
    """A model in the hands of one library.

    Attributes:
        facts: About the model.
        name: ``torch``, ``onnxruntime`` or ``openvino``.
        path: The file.
        precision: What it computes in: ``fp32``, ``fp16``, ``bf16`` or ``int8``.
    """

    facts: ModelFacts
    name: str
    path: Path
    precision: str

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, ...]:
        """Runs the network.

        Args:
            batch: (N, 3, H, W) float32, normalised and in the network's channel order; (N, H, W, 3) uint8 BGR where
                ``facts.end_to_end``. N is ``facts.batch`` where that is fixed.

        Returns:
            Of a keypoint model SimCC x (N, K, W * ratio) and y (N, K, H * ratio); end to end keypoints (N, K, 2) crop
            px and scores (N, K). Of a detector boxes (N, M, 5), x1 y1 x2 y2 score in input px, and labels (N, M) from
            0, rows without a detection having score 0 and label -1.
        """
        ...


def output_names(facts: ModelFacts) -> tuple[str, str]:
    """Names of a graph's outputs, in the order of :meth:`Backend.run`."""
    if facts.task == "detector":
        return "dets", "labels"
    return ("keypoints", "scores") if facts.end_to_end else ("simcc_x", "simcc_y")


def facts_of_graph(metadata: Mapping[str, str], inputs: Mapping[str, Shape], outputs: Mapping[str, Shape], path: Path,
                   meta: Optional[Path]) -> ModelFacts:
    """Settles the facts about an exported file, and that its graph is what they say.

    Args:
        metadata: The flat strings it carries.
        inputs: The shape of each input by name.
        outputs: The shape of each output by name.
        path: Of the file, for the errors.
        meta: A ``meta.py`` that names classes and keypoints, for files of others. What a file says comes first.

    Raises:
        UserError: The file says nothing, and no ``meta`` does.
        FaultsError: Its metadata make no sense or contradict the graph; all faults are listed.
    """
    if meta is None or has_facts(metadata):
        try:
            facts = ModelFacts.from_metadata(metadata, path)
        except FaultsError:
            raise
        except UserError as error:
            if has_facts(metadata):
                raise
            advice = "--meta configs/_base_/NAME/meta.py gives them for an RTMPose or RTMDet of mmdeploy"
            raise UserError(f"{error}; {advice}") from error
    else:
        facts = _facts_of_others(inputs, outputs, path, meta)
    check_graph(facts, inputs, outputs, path)
    return facts


# What RTMPose and RTMDet are trained with upstream, and what mmdeploy and rtmlib take for granted: grey values of
# ImageNet, in RGB for the former and BGR for the latter.
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def _facts_of_others(inputs: Mapping[str, Shape], outputs: Mapping[str, Shape], path: Path, meta: Path) -> ModelFacts:
    """Facts from a ``meta.py`` and the graph, for an RTMPose or RTMDet that mmdeploy exported."""
    keypoint_set = read_meta(meta)
    shape = next(iter(inputs.values()), ())
    if len(shape) != 4 or not all(isinstance(side, int) for side in shape[1:]):
        raise UserError(f"{path}: its input {tuple(shape)} does not say the input size, so --meta is not enough")
    height, width = shape[2:]
    batch = shape[0] if isinstance(shape[0], int) else None
    common = (path.stem, keypoint_set.classes, keypoint_set, (width, height))
    if "dets" in outputs:
        return ModelFacts("detector", *common, _MEAN[::-1], _STD[::-1], False, batch=batch)
    bins = outputs.get("simcc_x", (None,))[-1]
    ratio = bins / width if isinstance(bins, int) else 2.0
    return ModelFacts("pose", *common, _MEAN, _STD, True, simcc_split_ratio=ratio, batch=batch)


def check_graph(facts: ModelFacts, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape], path: Path) -> None:
    """Compares a graph with what its file says about it.

    Args:
        facts: What it says.
        inputs: The shape of each input by name.
        outputs: The shape of each output by name.
        path: Of the file, for the errors.

    Raises:
        FaultsError: They contradict each other; all contradictions are listed.
    """
    width, height = facts.input_size
    wanted_in = (facts.batch, height, width, 3) if facts.end_to_end else (facts.batch, 3, height, width)
    faults = []
    if len(inputs) != 1:
        faults.append(Fault(path, f"has {len(inputs)} inputs, not one"))
    for name, shape in list(inputs.items())[:1]:
        faults += _compare(shape, wanted_in, f"input {name}", path)
    for name, wanted in zip(output_names(facts), _output_shapes(facts)):
        if name not in outputs:
            known = ", ".join(outputs) or "none"
            faults.append(Fault(path, f"is missing; a {facts.task} model here has it, this one has: {known}",
                                f"output {name}"))
        else:
            faults += _compare(outputs[name], wanted, f"output {name}", path)
    if faults:
        raise FaultsError(faults)


def _output_shapes(facts: ModelFacts) -> tuple[Shape, Shape]:
    if facts.task == "detector":
        return (facts.batch, None, 5), (facts.batch, None)
    count = len(facts.keypoint_set.keypoints) if facts.keypoint_set else None
    if facts.end_to_end:
        return (facts.batch, count, 2), (facts.batch, count)
    width, height = (int(side * facts.simcc_split_ratio) for side in facts.input_size)
    return (facts.batch, count, width), (facts.batch, count, height)


def _compare(shape: Shape, wanted: Shape, where: str, path: Path) -> list[Fault]:
    said = ", ".join("any" if side is None else str(side) for side in wanted)
    has = ", ".join(str(side) if isinstance(side, int) else "any" for side in shape)
    # A side that the graph leaves open is settled by what is fed, or by nothing we could compare.
    apart = any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in zip(shape, wanted))
    if len(shape) != len(wanted) or apart or (wanted[0] is None and isinstance(shape[0], int)):
        return [Fault(path, f"is ({has}), and the facts about the model say ({said})", where)]
    return []


def check_precision(wanted: str, facts: ModelFacts, able: Sequence[str], library: str, path: Path) -> None:
    """Refuses a precision that a library does not compute in.

    Args:
        wanted: ``auto``, ``fp32``, ``fp16`` or ``bf16``.
        facts: About the file, whose own precision is always taken.
        able: What the library can be asked for here, beside ``auto``.
        library: Its name.
        path: Of the file.

    Raises:
        UserError: It cannot do that.
    """
    if wanted not in ("auto", facts.precision, *able):
        raise UserError(f"{path}: {library} does not compute in {wanted} here; it can be asked for: "
                        f"{', '.join(('auto', *able))}")


def first_line(error: BaseException) -> str:
    """The line of a library's error that says what is wrong: the last one that is not empty, without a stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def split_device(device: str, known: Sequence[str], library: str) -> tuple[str, Optional[int]]:
    """Splits ``cuda:1`` into its kind and number.

    Args:
        device: What the user said.
        known: Kinds the library has here.
        library: Its name, for the error.

    Raises:
        UserError: There is no such device.
    """
    kind, _, number = device.partition(":")
    if kind not in ("auto", *known) or (number and not number.isdigit()):
        raise UserError(f"--device {device}: {library} has here: {', '.join(known)}")
    return kind, int(number) if number else None
