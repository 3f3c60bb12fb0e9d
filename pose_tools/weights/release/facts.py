"""What a published checkpoint says of itself, for people: its task, points, classes and parts."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from pose_tools.console import UserError
from pose_tools.formats.schema import keypoint_set_from_dict

POSE, DETECTION = "pose", "detection"
FRAMEWORKS = {POSE: "mmpose", DETECTION: "mmdet"}


@dataclass(frozen=True)
class Keypoint:
    """A point that a model finds.

    Attributes:
        name: Its name.
        partner: The name of the point it changes places with in a mirrored picture; empty for none.
        sigma: OKS standard deviation as a share of the object scale, where known.
        colour: ``#RRGGBB``, where known.
    """

    name: str
    partner: str = ""
    sigma: Optional[float] = None
    colour: str = ""


@dataclass(frozen=True)
class Facts:
    """What a model is.

    Attributes:
        task: :data:`POSE` or :data:`DETECTION`.
        dataset: Name of its data set, where it has one.
        classes: Of its objects; empty where not recorded.
        keypoints: Of a keypoint model, in order.
        links: Pairs of keypoint names to join by a line.
        parts: Names of the model's parts, by what they are.
        values: Number of values in its weights, each shared tensor counted once.
    """

    task: str
    dataset: str
    classes: tuple[str, ...]
    keypoints: tuple[Keypoint, ...]
    links: tuple[tuple[str, str], ...]
    parts: Mapping[str, str]
    values: int


def facts_of(meta: Mapping[str, Any], config: Mapping[str, Any], weights: Mapping[str, Any], file: Path) -> Facts:
    """Gathers what a checkpoint says of its model.

    Args:
        meta: Its meta.
        config: Values of its config.
        weights: Names and tensors.
        file: Named in errors.

    Raises:
        UserError: It is neither a detector nor a keypoint model, or contradicts itself.
    """
    tasks = {framework: task for task, framework in FRAMEWORKS.items()}
    scope = config.get("default_scope")
    if scope not in tasks:
        raise UserError(f"{file}: is neither a detector nor a keypoint model (default_scope = {scope!r}), "
                        "and only these can have a release folder")
    told = meta.get("dataset_meta")
    told = told if isinstance(told, dict) else {}
    try:
        keypoints, links = _points(told, config, file) if tasks[scope] == POSE else ((), ())
        return Facts(tasks[scope], _text(told.get("dataset_name") or config.get("dataset_name")),
                     _classes(told, config), keypoints, links, _parts(config["model"]), _count(weights))
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise UserError(f"{file}: what it says of its data contradicts itself ({type(error).__name__}: {error})"
                        ) from error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _classes(told: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[str, ...]:
    """Class names: strings of mmdet, or COCO's categories of mmpose."""
    named = config.get("classes") or told.get("classes") or told.get("CLASSES") or ()
    named = [named] if isinstance(named, str) else named
    return tuple(str(each["name"] if isinstance(each, dict) else each) for each in named)


def _points(told: Mapping[str, Any], config: Mapping[str, Any],
            file: Path) -> tuple[tuple[Keypoint, ...], tuple[tuple[str, str], ...]]:
    if "keypoint_id2name" not in told:
        if "keypoints" not in config:
            return (), ()
        known = keypoint_set_from_dict(dict(config), file)
        names, flips, sigmas, colours = known.keypoints, known.flip_indices, known.sigmas, ()
        links: Sequence[Sequence[int]] = known.skeleton
    else:
        by_number = told["keypoint_id2name"]
        names = tuple(str(by_number[number]) for number in range(len(by_number)))
        flips = told.get("flip_indices") or range(len(names))
        sigmas, colours = told.get("sigmas") or (), told.get("keypoint_colors") or ()
        links = told.get("skeleton_links") or ()
    points = []
    for number, name in enumerate(names):
        partner = "" if flips[number] == number else names[flips[number]]
        colour = "#" + "".join(f"{int(value):02X}" for value in colours[number]) if colours else ""
        points.append(Keypoint(name, partner, float(sigmas[number]) if sigmas else None, colour))
    return tuple(points), tuple((names[first], names[second]) for first, second in links)


def _parts(model: Mapping[str, Any]) -> dict[str, str]:
    """Types of the model and of its parts, in the order in which a picture passes through them."""
    found = {"model": str(model["type"])}
    for key in ("backbone", "neck", "rpn_head", "roi_head", "bbox_head", "head"):
        part = model.get(key)
        if isinstance(part, dict) and part.get("type"):
            found[key] = str(part["type"])
    return found


def _count(weights: Mapping[str, Any]) -> int:
    tensors = {(tensor.data_ptr(), tuple(tensor.shape)): tensor.numel() for tensor in weights.values()
               if tensor.numel()}
    return sum(tensors.values())
