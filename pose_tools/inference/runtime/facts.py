"""What one must know to run a model, and how a file of any format carries it.

A ``.pth`` says it in the config inside; ``.onnx`` and OpenVINO files say it in flat strings, which :class:`ModelFacts`
writes and reads: plain text for names, JSON for numbers and lists, everything about keypoints by name.
"""
from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional, Union

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.formats.schema import KeypointSet, keypoint_set_from_dict

TASKS = ("detector", "pose")
PRECISIONS = ("fp32", "fp16", "bf16", "int8")
LAYOUT = "1"  # of the strings; a reader of another layout must not guess
_MARK = "model_facts"
_TEXTS = ("name", "licence", "source", "source_sha256", "calibration", "made_by")
_OF_TASK = {
    "pose": ("bbox_padding", "simcc_split_ratio", "flip_test", "use_udp"),
    "detector": ("pad_value", "score_threshold", "nms_threshold", "nms_pre", "max_per_image"),
}


@dataclass(frozen=True)
class ModelFacts:
    """What one must know to run a model, in whatever file it is.

    Attributes:
        task: ``"detector"`` or ``"pose"``.
        name: Such as ``rtmpose-s-carpose``.
        classes: Category names in the order of their 0-based labels.
        keypoint_set: Names, swaps, links and sigmas; ``None`` for a detector that knows of no keypoints.
        input_size: (w, h) of the network input.
        mean: Subtracted from each channel, in the channel order of the network input, in grey values 0 to 255.
        std: Each channel is divided by it, likewise.
        to_rgb: Whether the network takes RGB (RTMPose) instead of BGR (RTMDet).
        bbox_padding: Pose: factor on the sides of a box before it is cropped.
        simcc_split_ratio: Pose: SimCC bins for each crop px.
        flip_test: Pose: whether the config tests the mirrored crop as well.
        use_udp: Pose: whether crops are warped between pixel centres (UDP, https://arxiv.org/abs/1911.07524).
        pad_value: Detector: grey value below and to the right of the resized image.
        score_threshold: Detector: least score before NMS.
        nms_threshold: Detector: IoU above which NMS drops the weaker box of a class.
        nms_pre: Detector: most boxes of a level that come to NMS.
        max_per_image: Detector: most boxes of an image after NMS.
        end_to_end: Whether the graph takes (N, H, W, 3) uint8 BGR and decodes keypoints by itself.
        precision: Of the file's weights: ``fp32``, ``fp16``, ``bf16`` or ``int8``.
        batch: Images a run takes; ``None`` for any number.
        licence: Of the weights; ``""`` where unknown, as all below.
        source: Name of the checkpoint the file was made from.
        source_sha256: Its hash in hex.
        calibration: JSON that says how scores are turned into probabilities.
        opset: Of the ONNX graph.
        made_by: Program and versions that wrote the file.
    """

    task: str
    name: str
    classes: tuple[str, ...]
    keypoint_set: Optional[KeypointSet]
    input_size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    to_rgb: bool
    bbox_padding: float = 1.25
    simcc_split_ratio: float = 2.0
    flip_test: bool = False
    use_udp: bool = False
    pad_value: int = 114
    score_threshold: float = 0.001
    nms_threshold: float = 0.65
    nms_pre: int = 30000
    max_per_image: int = 300
    end_to_end: bool = False
    precision: str = "fp32"
    batch: Optional[int] = None
    licence: str = ""
    source: str = ""
    source_sha256: str = ""
    calibration: str = ""
    opset: Optional[int] = None
    made_by: str = ""

    def to_metadata(self) -> dict[str, str]:
        """Gives the strings that ONNX ``metadata_props`` and OpenVINO ``rt_info`` hold.

        Only what the task needs is written, so the facts of the other task come back as their defaults.
        """
        values = {_MARK: LAYOUT, "task": self.task, "precision": self.precision,
                  "channel_order": "RGB" if self.to_rgb else "BGR"}
        values.update({key: getattr(self, key) for key in _TEXTS if getattr(self, key)})
        for key in ("classes", "input_size", "mean", "std", "end_to_end", "batch", "opset", *_OF_TASK[self.task]):
            values[key] = _to_json(getattr(self, key))
        if self.keypoint_set is not None:
            for key in ("keypoints", "swaps", "links", "sigmas", "mirror"):
                values[key] = _to_json(getattr(self.keypoint_set, key))
            if self.keypoint_set.model_points:
                values["model_points"] = _to_json(self.keypoint_set.model_points)
        return values

    @classmethod
    def from_metadata(cls, values: Mapping[str, str], path: Union[str, Path]) -> ModelFacts:
        """Reads what :meth:`to_metadata` wrote.

        Args:
            values: The strings; others of any meaning may stand among them.
            path: Of the model, for the errors.

        Raises:
            UserError: The file says nothing of the kind, or in a layout of a later version.
            FaultsError: Some is missing, or makes no sense; all of it is listed.
        """
        if not has_facts(values):
            raise UserError(f"{path}: does not say what it is (no metadata of this project): task, classes, keypoints, "
                            "input size, mean, std and channel order are missing")
        if values[_MARK] != LAYOUT:
            raise UserError(f"{path}: its metadata have layout {values[_MARK]!r}, and this version reads {LAYOUT!r}")
        found, faults = _parse(values, path)
        keypoint_set = None
        if "keypoints" in values:
            try:
                keypoint_set = _keypoint_set(values, found.get("classes", ("object", )), path)
            except UserError as error:
                faults += error.faults if isinstance(error, FaultsError) else [_fault_of(error, path)]
        elif found.get("task") == "pose":
            faults.append(Fault(path, "is missing in the metadata", "keypoints"))
        if faults:
            raise FaultsError(faults)
        return cls(keypoint_set=keypoint_set, **found)


def has_facts(values: Mapping[str, str]) -> bool:
    """Whether strings of a file are, or begin to be, what :meth:`ModelFacts.to_metadata` wrote."""
    return _MARK in values


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parse(values: Mapping[str, str], path: Union[str, Path]) -> tuple[dict[str, Any], list[Fault]]:
    """Reads all but the keypoint set: the sound values by field name, and what is wrong."""
    found: dict[str, Any] = {key: str(values[key]) for key in _TEXTS if key in values}
    faults: list[Fault] = []
    for key in ("task", "channel_order", "precision"):
        if key in values and values[key] not in _CHOICES[key]:
            faults.append(Fault(path, f"{values[key]!r} is none of {', '.join(_CHOICES[key])}", key))
        elif key in values:
            found[key] = values[key]
    own = _OF_TASK.get(found.get("task", ""), ())
    for key in ("classes", "input_size", "mean", "std", "end_to_end", "batch", "opset", *own):
        if key in values:
            try:
                found[key] = _READERS[key](json.loads(values[key]))
            except (ValueError, TypeError) as error:
                what = error if isinstance(error, _Nonsense) else "is no JSON"
                faults.append(Fault(path, f"{values[key]!r}: {what}", key))
    wanted = ("task", "name", "classes", "input_size", "mean", "std", "channel_order", "end_to_end", "precision", *own)
    faults += [Fault(path, "is missing in the metadata", key) for key in wanted if key not in values]
    found["to_rgb"] = found.pop("channel_order", "") == "RGB"
    return found, faults


def _keypoint_set(values: Mapping[str, str], classes: Sequence[str], path: Union[str, Path]) -> KeypointSet:
    read: dict[str, Any] = {"classes": classes}
    for key in ("keypoints", "swaps", "links", "sigmas", "mirror", "model_points"):
        if key in values:
            try:
                read[key] = json.loads(values[key])
            except ValueError as error:
                raise UserError(f"{path}: {key}: {values[key]!r}: is no JSON") from error
    return keypoint_set_from_dict(read, path)


def _fault_of(error: UserError, path: Union[str, Path]) -> Fault:
    return Fault(path, str(error)[len(f"{path}: "):] if str(error).startswith(f"{path}: ") else str(error))


class _Nonsense(ValueError):
    """A value of the wrong kind or beyond its range; its text says what it is not."""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _number(what: str, sound: Callable[[Any], bool], whole: bool = False) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not _is_number(value) or not sound(value) or (whole and value != int(value)):
            raise _Nonsense(f"is not {what}")
        return int(value) if whole else float(value)

    return read


def _many(what: str, count: int, read_one: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) != count:
            raise _Nonsense(f"is not {what}")
        return tuple(read_one(each) for each in value)

    return read


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Nonsense("is neither true nor false")
    return value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each for each in value):
        raise _Nonsense("is not a list of names")
    return tuple(value)


_count = _number("a whole number from 1", lambda n: n >= 1, whole=True)
_share = _number("a number from 0 to 1", lambda n: 0 <= n <= 1)
_positive = _number("a positive number", lambda n: n > 0)
_READERS: dict[str, Callable[[Any], Any]] = {
    "classes": _names,
    "input_size": _many("a width and a height", 2, _count),
    "mean": _many("three numbers", 3, _number("a number", lambda n: True)),
    "std": _many("three positive numbers", 3, _positive),
    "end_to_end": _truth,
    "batch": lambda value: None if value is None else _count(value),
    "opset": lambda value: None if value is None else _count(value),
    "bbox_padding": _positive,
    "simcc_split_ratio": _positive,
    "flip_test": _truth,
    "use_udp": _truth,
    "pad_value": _number("a grey value from 0 to 255", lambda n: 0 <= n <= 255, whole=True),
    "score_threshold": _share,
    "nms_threshold": _share,
    "nms_pre": _count,
    "max_per_image": _count,
}
_CHOICES = {"task": TASKS, "channel_order": ("RGB", "BGR"), "precision": PRECISIONS}
