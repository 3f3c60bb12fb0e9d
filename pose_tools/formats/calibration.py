"""The calibration of a keypoint model: a JSON text that says what its raw scores are worth.

A raw score of a keypoint (the lower of two SimCC maxima) can exceed 1 and means something else for every model and
every keypoint. A calibration holds for each keypoint a curve from raw score to the probability that the point lies
within a stated distance of where it was labelled: points of a polyline, so that applying it is :func:`numpy.interp`.
It is fitted by :mod:`pose_tools.inference.calibration` and travels in a checkpoint and in the files exported from it.
"""
from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from pose_tools.console import UserError
from pose_tools.formats.schema import KeypointSet

_LEAST, _MOST = np.float32(1e-7), np.nextafter(np.float32(1), np.float32(0))
LAYOUT = 1  # of the JSON; a reader of another layout must not guess
DISTANCE_OF = "longer side of the labelled box"
GROUND_TRUTH, DETECTED = "ground truth", "a detector's"
_KEYS = {"layout", "distance", "distance_of", "method", "boxes", "flip_test", "annotations", "pictures",
         "weights_sha256", "keypoints"}


@dataclass(frozen=True)
class Curve:
    """What the raw scores of one keypoint are worth.

    Attributes:
        name: Of the keypoint.
        labels: Number of labelled points of it that the curve was fitted to.
        scores: Raw scores, strictly increasing.
        probabilities: At these scores, each above 0 and below 1 and none below the one before it. Between two scores
            the curve is straight; beyond the first and the last it is level.
    """

    name: str
    labels: int
    scores: tuple[float, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Calibration:
    """Turns raw keypoint scores into probabilities.

    Attributes:
        curves: K of them, in the model's order of keypoints.
        distance: A point counts as right when it is nearer than this to where it was labelled, as a share of
            :data:`DISTANCE_OF`.
        method: How it was fitted.
        boxes: In whose boxes the points were found: :data:`GROUND_TRUTH` or :data:`DETECTED`.
        flip_test: Whether the model was run with flip test, which moves raw scores a little.
        annotations: Name of the annotation file.
        pictures: How many of its pictures had labelled points.
        weights_sha256: Hash of the model's weights, as :func:`pose_tools.weights.release.calibration.sha256_of_weights`
            makes it.
    """

    curves: tuple[Curve, ...]
    distance: float
    method: str
    boxes: str = GROUND_TRUTH
    flip_test: bool = False
    annotations: str = ""
    pictures: int = 0
    weights_sha256: str = ""

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Gives probabilities.

        Args:
            scores: (N, K) raw scores; NaN stays NaN.

        Returns:
            (N, K) float32, each above 0 and below 1.

        Raises:
            ValueError: They are not of K keypoints.
        """
        scores = np.asarray(scores)
        if scores.ndim != 2 or scores.shape[1] != len(self.curves):
            raise ValueError(f"expected scores of shape (N, {len(self.curves)}), got {scores.shape}")
        found = np.empty(scores.shape, np.float32)
        for column, curve in enumerate(self.curves):
            found[:, column] = np.interp(scores[:, column], curve.scores, curve.probabilities)
        found[np.isnan(scores)] = np.nan  # a curve of one point would have an answer to it
        return np.clip(found, _LEAST, _MOST)

    @property
    def keypoints(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(curve.name for curve in self.curves)

    @property
    def meaning(self) -> str:
        """What a probability is the probability of, for people."""
        return (f"the chance that the point lies where a person would label it, to within {100 * self.distance:g} % of "
                f"the {DISTANCE_OF}")

    def to_json(self) -> str:
        """Gives the text that :meth:`from_json` reads: the same for the same calibration."""
        curves = {curve.name: {"labels": curve.labels, "scores": list(curve.scores),
                               "probabilities": list(curve.probabilities)} for curve in self.curves}
        return json.dumps({"layout": LAYOUT, "distance": self.distance, "distance_of": DISTANCE_OF,
                           "method": self.method, "boxes": self.boxes, "flip_test": self.flip_test,
                           "annotations": self.annotations, "pictures": self.pictures,
                           "weights_sha256": self.weights_sha256, "keypoints": curves},
                          ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, file: Union[str, Path] = "calibration",
                  keypoints: Optional[Sequence[str]] = None) -> Calibration:
        """Reads what :meth:`to_json` wrote; takes nothing else.

        Args:
            text: The JSON.
            file: Named in errors.
            keypoints: Names of the model's keypoints, in order, where the calibration must be of them.

        Raises:
            UserError: It is no calibration, is of a later layout, contradicts itself, or is of other keypoints.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{file}: is not JSON: {error}") from error
        fault = _fault(values)
        if fault:
            raise UserError(f"{file}: {fault}")
        curves = tuple(Curve(name, each["labels"], tuple(map(float, each["scores"])),
                             tuple(map(float, each["probabilities"]))) for name, each in values["keypoints"].items())
        found = cls(curves, float(values["distance"]), values["method"], values["boxes"], values["flip_test"],
                    values["annotations"], values["pictures"], values["weights_sha256"])
        if keypoints is not None and found.keypoints != tuple(keypoints):
            raise UserError(f"{file}: is of the keypoints {', '.join(found.keypoints)}; the model has "
                            f"{', '.join(keypoints)}")
        return found

    @classmethod
    def of_model(cls, text: str, keypoint_set: Optional[KeypointSet], file: Union[str, Path]) -> Optional[Calibration]:
        """Reads what a model file says.

        Args:
            text: ``ModelFacts.calibration``: JSON, or ``""``.
            keypoint_set: Of the model.
            file: The model file, named in errors.

        Returns:
            The calibration; ``None`` where the file has none.

        Raises:
            UserError: As :meth:`from_json`.
        """
        if not text:
            return None
        return cls.from_json(text, f"{file}: its calibration", keypoint_set.keypoints if keypoint_set else ())


def read_calibration(path: Union[str, Path]) -> Calibration:
    """Reads the file that ``tools/calibrate.py`` writes.

    Args:
        path: A JSON file.

    Raises:
        UserError: It cannot be read, or is no calibration.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise UserError(f"{path}: cannot be read: {reason}") from error
    return Calibration.from_json(text, path)


def _fault(values: Any) -> str:
    """What is wrong with the contents, the first of it; ``""`` for nothing."""
    if not isinstance(values, Mapping) or "layout" not in values:
        return "is no calibration, as tools/calibrate.py writes it"
    if values["layout"] != LAYOUT or isinstance(values["layout"], bool):
        return f"has layout {values['layout']!r}, and this version reads {LAYOUT}"
    if set(values) != _KEYS:
        missing, more = sorted(_KEYS - set(values)), sorted(set(values) - _KEYS)
        return f"lacks {', '.join(missing)}" if missing else f"says {', '.join(more)}, of which nothing is known"
    distance = values["distance"]
    checks = (
        ("distance", _is_number(distance) and 0 < distance <= 1, "is not a share above 0"),
        ("distance_of", values["distance_of"] == DISTANCE_OF, f"is not {DISTANCE_OF!r}"),
        ("boxes", values["boxes"] in (GROUND_TRUTH, DETECTED), f"is neither {GROUND_TRUTH!r} nor {DETECTED!r}"),
        ("flip_test", isinstance(values["flip_test"], bool), "is neither true nor false"),
        ("pictures", _is_count(values["pictures"]), "is not a whole number from 0"),
        ("method", isinstance(values["method"], str), "is no text"),
        ("annotations", isinstance(values["annotations"], str), "is no text"),
        ("weights_sha256", isinstance(values["weights_sha256"], str)
         and re.fullmatch(r"([0-9a-f]{64})?", values["weights_sha256"]), "is no SHA-256"),
        ("keypoints", isinstance(values["keypoints"], Mapping) and values["keypoints"], "names none"),
    )
    for key, sound, what in checks:
        if not sound:
            return f"{key} = {_short(values[key])}: {what}"
    return next((f"{name}: {what}" for name, each in values["keypoints"].items() if (what := _curve_fault(each))), "")


def _curve_fault(curve: Any) -> str:
    if not isinstance(curve, Mapping) or set(curve) != {"labels", "scores", "probabilities"}:
        return "does not have labels, scores and probabilities, or has more"
    if not _is_count(curve["labels"]):
        return f"labels = {_short(curve['labels'])}: is not a whole number from 0"
    for key in ("scores", "probabilities"):
        if not isinstance(curve[key], list) or not curve[key] or not all(map(_is_number, curve[key])):
            return f"{key} = {_short(curve[key])}: is not a list of finite numbers"
    scores, probabilities = curve["scores"], curve["probabilities"]
    if len(scores) != len(probabilities):
        return f"has {len(scores)} scores and {len(probabilities)} probabilities"
    if any(after <= before for before, after in zip(scores, scores[1:])):
        return "its scores do not increase"
    if any(after < before for before, after in zip(probabilities, probabilities[1:])):
        return "its probabilities decrease"
    return "" if probabilities[0] > 0 and probabilities[-1] < 1 else "has a probability that is not between 0 and 1"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30 \
        and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
