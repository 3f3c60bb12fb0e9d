"""Reading labels and predictions so that they can be compared: by file name, keypoints by name.

Coordinates are image px.
"""
from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.dataset.annotation_checks import is_box
from pose_tools.dataset.checks import coco_faults
from pose_tools.dataset.data_set import DataSet
from pose_tools.dataset.faults import fold_faults
from pose_tools.dataset.result_checks import result_faults
from pose_tools.formats.coco_structure import is_number
from pose_tools.formats.schema import KeypointSet

# What a comparison cannot do without; what else may be wrong with a file does not matter here.
_NEEDED = ("duplicate-id", "dangling-id", "box", "area", "keypoint-count", "not-a-number")


@dataclass(frozen=True)
class Instance:
    """One object, labelled or predicted.

    Attributes:
        file: The file it is from.
        where: Its place in the file, for people.
        entry: Its id, or of a prediction its number.
        category: Name of its class.
        box: x, y, w, h.
        area: The square of the object's scale, px²: ``area`` of the annotation.
        points: (K, 3) x, y and visibility (of a prediction: score), in the order of the keypoint set.
        crowd: Whether it stands for a crowd, which is not scored.
        score: Of a prediction.
    """

    file: Path
    where: str
    entry: Hashable
    category: str
    box: tuple[float, float, float, float]
    area: float
    points: np.ndarray
    crowd: bool = False
    score: float = 1.0

    @property
    def labelled(self) -> np.ndarray:
        """(K,) which keypoints are labelled; none of a crowd's are."""
        return (self.points[:, 2] > 0) & (not self.crowd)


@dataclass
class Labels:
    """What one annotator labelled, or one data set holds.

    Attributes:
        label: Its name for people.
        sizes: (width, height) of the images by file name; ``None`` where the file does not say.
        instances: Objects by file name.
        names_of: File names by image id; several where two files use the id for different images.
        categories: Category names by id.
        orders: For each category id the places of the set's keypoints in the file's triples.
        outlined: How many of the scored objects have an area that is not their box's w * h.
    """

    label: str
    sizes: dict[str, tuple[float, float] | None] = field(default_factory=dict)
    instances: dict[str, list[Instance]] = field(default_factory=lambda: defaultdict(list))
    names_of: dict[Hashable, list[str]] = field(default_factory=lambda: defaultdict(list))
    categories: dict[Hashable, str] = field(default_factory=dict)
    orders: dict[Hashable, list[int]] = field(default_factory=dict)
    outlined: int = 0


def _image_name(image: Mapping[str, Any]) -> str:
    return str(PurePosixPath(str(image.get("file_name")).replace("\\", "/")))


def _size(image: Mapping[str, Any]) -> tuple[float, float] | None:
    size = image.get("width"), image.get("height")
    return size if all(is_number(side) and side > 0 for side in size) else None  # type: ignore[return-value]


def _keypoints_of(category: Mapping[str, Any]) -> list[Any]:
    listed = category.get("keypoints")
    return listed if isinstance(listed, list) else []


def _order_faults(category: Mapping[str, Any], path: Path, names: KeypointSet) -> Iterator[Fault]:
    """Why a category's keypoints cannot be put into the set's order."""
    listed = _keypoints_of(category)
    where = f"category {category.get('name')!r}"
    if not listed:
        yield Fault(path, "names no keypoints, so it is not known which is which", where)
        return
    missing = [name for name in names.keypoints if name not in listed]
    surplus = [name for name in listed if name not in names.keypoints]
    if missing:
        yield Fault(path, f"has no keypoint {', '.join(map(repr, missing))}", where)
    if surplus:
        yield Fault(path, f"keypoint {', '.join(map(repr, surplus))} is not in the keypoint set", where)
    if len(set(map(str, listed))) < len(listed):
        yield Fault(path, "lists a keypoint twice", where)


def _side_faults(data: Mapping[str, Any], path: Path, names: KeypointSet) -> list[Fault]:
    scored = _scored(data)
    used = {ann["category_id"] for ann in scored if isinstance(ann.get("category_id"), (int, str))}
    faults: list[Fault] = [fault for category in data["categories"] if category["id"] in used
                           for fault in _order_faults(category, path, names)]
    relevant = {**data, "annotations": scored}
    faults += [fault for fault in coco_faults(relevant, path) if fault.rule in _NEEDED]
    seen: dict[str, Any] = {}
    for image in data["images"]:
        other = seen.setdefault(_image_name(image), image["id"])
        if other != image["id"]:
            faults.append(Fault(path, f"is the same file as image {other}", f"image {image['id']}"))
    return faults


def _scored(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Annotations with labelled keypoints, or with something that is no list of keypoints."""
    def has_points(ann: Mapping[str, Any]) -> bool:
        points = ann.get("keypoints")
        return bool(points) and (not isinstance(points, list) or any(points[2::3])) and not ann.get("iscrowd")

    return [ann for ann in data["annotations"] if has_points(ann)]


def read_labels(data_set: DataSet, names: KeypointSet, label: str) -> Labels:
    """Collects what a data set labels.

    Args:
        data_set: All its splits are taken together.
        names: Keypoints are put into its order, by name.
        label: What to call it.

    Returns:
        Objects by file name; those without labelled keypoints, and crowds, are among them.

    Raises:
        FaultsError: All faults of all files that a comparison trips over: boxes, areas, ids, keypoint names, a file
            name that stands for two images.
        UserError: Not one object has keypoints.
    """
    labels, faults = Labels(label), []
    for split, path in data_set.files.items():
        data = data_set.sides[split]
        found = _side_faults(data, path, names)
        faults += found or _add_side(labels, data, path, names)
    if faults:
        raise FaultsError(fold_faults(faults), "nothing was estimated; mend these first")
    if not any(instance.labelled.any() for listed in labels.instances.values() for instance in listed):
        raise UserError(f"{label}: no object in it has labelled keypoints")
    return labels


def _add_side(labels: Labels, data: Mapping[str, Any], path: Path, names: KeypointSet) -> list[Fault]:
    faults = []
    for category in data["categories"]:
        name = str(category.get("name"))
        if labels.categories.setdefault(category["id"], name) != name:
            what = f"is {name!r} here and {labels.categories[category['id']]!r} in another split"
            faults.append(Fault(path, what, f"category {category['id']}"))
        listed = _keypoints_of(category)
        order = [listed.index(name) for name in names.keypoints] if all(n in listed for n in names.keypoints) else []
        if labels.orders.setdefault(category["id"], order) != order:
            faults.append(Fault(path, "lists its keypoints in another order than another split", f"category {name!r}"))
    names_here = {}
    for image in data["images"]:
        name = names_here[image["id"]] = _image_name(image)
        if name in labels.sizes:
            faults.append(Fault(path, f"image {name} is in two splits of {labels.label}"))
        labels.sizes[name] = _size(image)
        if name not in labels.names_of[image["id"]]:
            labels.names_of[image["id"]].append(name)
    for ann in data["annotations"]:
        image_id, category_id = (ann.get(key) for key in ("image_id", "category_id"))
        if is_box(ann.get("bbox")) and _is_in(image_id, names_here) and _is_in(category_id, labels.categories):
            name = names_here[image_id]
            instance = _instance(ann, f"annotation {ann['id']} in {name}", path, labels, len(names.keypoints))
            labels.instances[name].append(instance)
            box_area = instance.box[2] * instance.box[3]
            labels.outlined += bool(instance.labelled.any()) and abs(instance.area - box_area) > 0.01 * box_area
    return faults


def _is_in(value: Any, known: Mapping[Hashable, Any]) -> bool:
    return isinstance(value, (int, str)) and value in known


def _instance(entry: Mapping[str, Any], where: str, path: Path, labels: Labels, count: int,
              number: int | None = None) -> Instance:
    """One annotation, or with ``number`` one result."""
    points, order = entry.get("keypoints"), labels.orders[entry["category_id"]]
    sound = isinstance(points, list) and len(points) == 3 * count and all(map(is_number, points)) and bool(order)
    box = tuple(map(float, entry["bbox"]))
    area = entry.get("area")
    return Instance(
        path, where, entry["id"] if number is None else number, labels.categories[entry["category_id"]], box,
        float(area) if number is None and is_number(area) and area > 0 else box[2] * box[3],
        np.array(points, float).reshape(-1, 3)[order] if sound else np.zeros((count, 3)), bool(entry.get("iscrowd")),
        float(entry["score"]) if number is not None else 1.0)


def read_predictions(path: Path, truth: Labels, names: KeypointSet) -> dict[str, list[Instance]]:
    """Reads COCO keypoint results of images that a data set holds.

    Args:
        path: ``results.json`` as ``tools/test.py`` writes it; its keypoints are in the order of the data set's.
        truth: The data set they are of.
        names: The keypoint set.

    Returns:
        Predicted objects by file name.

    Raises:
        UserError: There is no such file, or nothing is in it.
        FaultsError: All results that are not of this data set, or no keypoint results.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: is not JSON: {error}") from error
    faults = [Fault(path, "image_id and category_id must be numbers or strings", f"result {number}")
              for number, result in enumerate(results if isinstance(results, list) else ())
              if isinstance(result, dict) and not all(isinstance(result.get(key), (int, str, type(None)))
                                                      for key in ("image_id", "category_id"))]
    faults = faults or result_faults(results, path, truth.names_of, truth.categories, len(names.keypoints))
    if not faults:
        faults = [Fault(path, "has no keypoints; these are a detector's boxes?", f"result {number}")
                  for number, result in enumerate(results) if not result.get("keypoints")]
        shared = sorted({str(r["image_id"]) for r in results if len(truth.names_of[r["image_id"]]) > 1})
        faults += [Fault(path, f"image_id {i} stands for different images in the splits of {truth.label}; name one of "
                               "its COCO files instead of the folder") for i in shared]
    if faults:
        raise FaultsError(fold_faults(faults), "nothing was estimated")
    if not results:
        raise UserError(f"{path}: holds no results")
    found: dict[str, list[Instance]] = defaultdict(list)
    for number, result in enumerate(results):
        name = truth.names_of[result["image_id"]][0]
        found[name].append(_instance(result, f"result {number} of {name}", path, truth, len(names.keypoints), number))
    return dict(found)


def join_labels(parts: Sequence[Labels]) -> Labels:
    """The labels of several data sets that share no image, as the validation sets of several folds.

    Raises:
        FaultsError: All images that are in two of them.
    """
    whole = Labels(" + ".join(part.label for part in parts))
    faults = []
    for part in parts:
        faults += [Fault(part.label, f"image {name} is in another of the data sets, too")
                   for name in part.sizes if name in whole.sizes]
        whole.sizes.update(part.sizes)
        for name, listed in part.instances.items():
            whole.instances[name] += listed
        whole.outlined += part.outlined
    if faults:
        raise FaultsError(fold_faults(faults), "with --predictions every image may be there once; annotators are "
                          "compared without --predictions")
    return whole
