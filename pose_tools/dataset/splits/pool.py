"""Bringing the COCO files of a data set together, to divide them anew."""
from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np

from pose_tools.console import Fault, FaultsError
from pose_tools.dataset.coco_folder import check_side, image_sources
from pose_tools.dataset.data_set import DataSet, read_data_set
from pose_tools.dataset.faults import fold_faults
from pose_tools.formats.coco import keypoint_set_from_coco
from pose_tools.formats.images import ImageSource
from pose_tools.formats.schema import KeypointSet

Entry = dict[str, Any]
# How much each kind of thing matters, all of its kind together.
WEIGHTS = {"images": 4.0, "objects": 2.0, "empty": 1.0, "crowd": 0.5, "class": 2.0, "labelled": 2.0, "occluded": 1.0}


@dataclass
class Pool:
    """All images of a data set, each once.

    Attributes:
        data: COCO contents; ``file_name`` are distinct.
        pictures: How to take each image, in the order of ``images``.
        names: Classes and keypoints.
        notes: What the user should know.
    """

    data: Entry
    pictures: list[ImageSource]
    names: KeypointSet
    notes: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        """The images' files."""
        return [Path(picture.origin) for picture in self.pictures]


@dataclass(frozen=True)
class _Image:
    split: str
    entry: Entry
    annotations: list[Entry]
    picture: ImageSource

    @property
    def said(self) -> list[str]:
        """What its annotations say, apart from their ids."""
        return sorted(json.dumps({key: value for key, value in annotation.items() if key not in ("id", "image_id")},
                                 sort_keys=True) for annotation in self.annotations)


def read_pool(sources: Sequence[Path], images: Optional[Path] = None) -> Pool:
    """Reads and checks a data set.

    Args:
        sources: Its folder, or COCO files with the same classes and keypoints.
        images: Folder of the images, where it is not beside the files.

    Returns:
        All splits together. An image that two splits have with the same annotations is there once. Ids stay, unless
        two splits use the same. Images of the same name in different folders come into folders of their own.

    Raises:
        UserError: A file is missing.
        FaultsError: All faults of all files: what :func:`check_side` and :func:`image_sources` find, other classes or
            keypoints, images that are there twice with other annotations.
    """
    data_set = read_data_set(sources, images)
    notes: list[str] = []
    sides: dict[str, Entry] = {}
    faults: list[Fault] = []
    for split, path in data_set.files.items():
        sides[split], more = check_side(data_set.sides[split], path, data_set.images[split], notes)
        faults += more
    _refuse(faults)
    names, faults = _names(sides, data_set)
    found_images: list[_Image] = []
    for split, data in sides.items():
        pictures, more = image_sources({split: data}, data_set.files, data_set.images[split])
        faults += more
        if not more:
            found_images += _images_of(split, data, pictures[split])
    _refuse(faults)
    kept, faults = _each_once(found_images, data_set, notes)
    _refuse(faults)
    _make_names_distinct(kept, data_set, notes)
    annotations = [annotation for image in kept for annotation in image.annotations]
    data = {**{key: value for side in reversed(list(sides.values())) for key, value in side.items()},
            **_with_ids([image.entry for image in kept], annotations, [len(i.annotations) for i in kept], notes),
            "categories": next(iter(sides.values()))["categories"]}
    return Pool(data, [image.picture for image in kept], names, notes)


def _refuse(faults: Sequence[Fault]) -> None:
    if faults:
        raise FaultsError(fold_faults(faults), "nothing was written; mend these first")


def _names(sides: Mapping[str, Entry], data_set: DataSet) -> tuple[KeypointSet, list[Fault]]:
    first = next(iter(sides))
    ids = {c["name"]: c["id"] for c in sides[first]["categories"]}
    names = keypoint_set_from_coco(sides[first], data_set.files[first])
    faults = []
    for split, data in sides.items():
        mine = keypoint_set_from_coco(data, data_set.files[split])
        if ({c["name"]: c["id"] for c in data["categories"]}, mine.keypoints) != (ids, names.keypoints):
            faults.append(Fault(data_set.files[split], f"has other classes, category ids or keypoints than "
                                f"{data_set.files[first]}; merge them first, with merge_coco.py"))
    return names, faults


def _images_of(split: str, data: Mapping[str, Any], pictures: Sequence[ImageSource]) -> list[_Image]:
    annotations: dict[Any, list[Entry]] = defaultdict(list)
    for annotation in data["annotations"]:
        annotations[annotation["image_id"]].append(annotation)
    return [_Image(split, dict(image), annotations[image["id"]], picture)
            for image, picture in zip(data["images"], pictures)]


def _each_once(images: Sequence[_Image], data_set: DataSet, notes: list[str]) -> tuple[list[_Image], list[Fault]]:
    """Leaves out an image that is there again and says the same."""
    kept: dict[str, _Image] = {}
    faults, again = [], 0
    for image in images:
        path = os.path.realpath(image.picture.origin)
        first = kept.setdefault(path, image)
        if first is image:
            continue
        again += 1
        if image.said != first.said:
            faults.append(Fault(data_set.files[image.split], f"is there already with other annotations, as image "
                                f"{first.entry['id']} of {data_set.files[first.split]}; leave out one of both",
                                f"image {image.entry['id']} ({image.entry['file_name']})"))
    if again:
        notes.append(f"{again} images are there twice with the same annotations; each is taken once")
    return list(kept.values()), faults


def _make_names_distinct(images: Sequence[_Image], data_set: DataSet, notes: list[str]) -> None:
    counts = Counter(os.path.normcase(os.path.normpath(image.entry["file_name"])) for image in images)
    if len(counts) == len(images):
        return
    folders = {split: Path(os.path.abspath(folder)) for split, folder in data_set.images.items()}
    labels: dict[Path, str] = {}
    for folder in folders.values():
        if folder not in labels:
            plain = folder.parent.name if folder.name == "images" else folder.name
            labels[folder] = next(name for n in range(len(folders) + 1)
                                  if (name := plain + (f"_{n + 1}" if n else "")) not in labels.values())
    for image in images:
        image.entry["file_name"] = f"{labels[folders[image.split]]}/{image.entry['file_name']}"
    notes.append(f"different images have the same name; those of each file come to {', '.join(labels.values())} "
                 "in images/")


def _with_ids(images: Sequence[Entry], annotations: Sequence[Entry], held: Sequence[int], notes: list[str]) -> Entry:
    """Images and annotations with ids that are theirs alone; ``held`` is the number of annotations of each image."""
    new_images, new_annotations = list(images), list(annotations)
    if not _are_ids(images):
        new_images = [{**image, "id": number} for number, image in enumerate(images, 1)]
        owners = np.repeat(np.arange(1, len(images) + 1), held).tolist()
        new_annotations = [{**a, "image_id": owner} for a, owner in zip(annotations, owners)]
        notes.append("image ids were made anew")
    if not _are_ids(annotations):
        new_annotations = [{**a, "id": number} for number, a in enumerate(new_annotations, 1)]
        notes.append("annotation ids were made anew")
    return {"images": new_images, "annotations": new_annotations}


def _are_ids(entries: Sequence[Entry]) -> bool:
    """Whether ids are distinct numbers from 1: COCO's evaluation takes an annotation with id 0 for none."""
    return len({entry["id"] for entry in entries}) == len(entries) \
        and all(isinstance(entry["id"], int) and entry["id"] >= 1 for entry in entries)


def count_things(pool: Pool) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Counts what each image holds. Crowd regions count as such only.

    Returns:
        (N, R) counts, and for each column its kind, a key of :data:`WEIGHTS`, and its name.
    """
    images, classes, keypoints = pool.data["images"], pool.names.classes, pool.names.keypoints
    place = {image["id"]: i for i, image in enumerate(images)}
    class_of = {category["id"]: classes.index(category["name"]) for category in pool.data["categories"]}
    columns = [("images", ""), ("objects", ""), ("empty", ""), ("crowd", ""), *(("class", name) for name in classes),
               *(("labelled", name) for name in keypoints), *(("occluded", name) for name in keypoints)]
    counts = np.zeros((len(images), len(columns)), int)
    first = 4 + len(classes)
    for annotation in pool.data["annotations"]:
        row = counts[place[annotation["image_id"]]]
        if annotation.get("iscrowd"):
            row[3] += 1
            continue
        row[1] += 1
        row[4 + class_of[annotation["category_id"]]] += 1
        v = np.array((annotation.get("keypoints") or ())[2::3])
        if len(v) == len(keypoints):
            row[first:first + len(v)] += v > 0
            row[first + len(v):] += v == 1
    counts[:, 0] = 1
    counts[:, 2] = (counts[:, 1] + counts[:, 3]) == 0
    return counts, columns


def weights_of(counts: np.ndarray, columns: Sequence[tuple[str, str]]) -> np.ndarray:
    """(R,) how much each column matters: a kind's weight is shared by those of its columns that have counts."""
    used = Counter(kind for (kind, _), total in zip(columns, counts.sum(0)) if total)
    return np.array([WEIGHTS[kind] / max(used[kind], 1) for kind, _ in columns])
