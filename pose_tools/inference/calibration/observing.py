"""Running a keypoint model on labelled pictures, to see how often which raw score was right."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from pose_tools.console import Fault, FaultsError, UserError, progress
from pose_tools.formats.coco_structure import is_number
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.calibration.fit import Observations
from pose_tools.report.draw import imread
from pose_tools.report.metrics import match_instances

BOXES_PER_IMAGE = 20  # of a detector, the best; as many as tools/test.py takes
SHOWN_FAULTS = 10
Entry = Mapping[str, Any]


@dataclass(frozen=True)
class LabelledPicture:
    """A picture with labelled points.

    Attributes:
        path: Its file.
        image_id: In the annotation file.
        objects: Annotations with ``bbox`` xywh, ``category_id`` and ``keypoints`` [x, y, v] * K, of which at least one
            object has a point with v > 0; image px.
    """

    path: Path
    image_id: Any
    objects: tuple[Entry, ...]


@dataclass(frozen=True)
class Rule:
    """What counts as right.

    Attributes:
        distance: Nearer than this share of the longer side of the labelled box is right.
        unlabelled: Whether points without a label (v = 0) count, as wrong.
    """

    distance: float
    unlabelled: bool = False


def labelled_pictures(data: Mapping[str, Any], file: Path, folder: Path, names: KeypointSet) -> list[LabelledPicture]:
    """Lists the pictures of a COCO file that a model can be calibrated on.

    Args:
        data: Its contents.
        file: Named in errors.
        folder: Where the pictures are.
        names: The model's keypoints. Categories with others are left out, and crowds, whose points nobody labels.

    Raises:
        UserError: There is none.
        FaultsError: Annotations are of another kind, or pictures are missing; all of it is listed.
    """
    known = {each["id"] for each in data["categories"]
             if tuple(each.get("keypoints") or ()) == names.keypoints}
    if not known:
        raise UserError(f"{file}: no category has exactly the model's keypoints: {', '.join(names.keypoints)}")
    faults, objects = [], defaultdict(list)
    for entry in data["annotations"]:
        if entry.get("category_id") not in known or entry.get("iscrowd") or not any(entry.get("keypoints") or ()):
            continue
        if what := _fault(entry, len(names.keypoints)):
            faults.append(Fault(file, what, f"annotation {entry.get('id')}"))
        elif any(value > 0 for value in entry["keypoints"][2::3]):
            objects[entry["image_id"]].append(entry)
    found = [LabelledPicture(folder / str(image.get("file_name")), image["id"], tuple(objects[image["id"]]))
             for image in data["images"] if image["id"] in objects]
    faults += [Fault(each.path, "no such picture") for each in found if not each.path.is_file()]
    if faults:
        more = len(faults) - SHOWN_FAULTS
        raise FaultsError(faults[:SHOWN_FAULTS], f"and {more} more like these" if more > 0 else "")
    if not found:
        raise UserError(f"{file}: not one point is labelled")
    return found


def _fault(entry: Entry, count: int) -> str:
    points, box = entry["keypoints"], entry.get("bbox")
    if not isinstance(points, list) or len(points) != 3 * count or not all(map(is_number, points)):
        return f"keypoints are not {count} triples of numbers"
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)) or min(box[2:]) <= 0:
        return f"bbox {box!r} is not x, y, w, h with an area"
    return ""


def observe(model: Any, pictures: Sequence[LabelledPicture], rule: Rule, batch_size: int = 32,
            detections: Optional[Sequence[Entry]] = None) -> Observations:
    """Predicts the objects of pictures and compares with their labels.

    Args:
        model: Has ``many(images, boxes)``, as :class:`~pose_tools.inference.runtime.pose.PoseModel` has.
        pictures: The pictures.
        rule: What is right.
        batch_size: About how many boxes are collected before the model is called.
        detections: Of a detector, as COCO results: its boxes are taken instead of the labelled ones, the best
            :data:`BOXES_PER_IMAGE` of a picture. Objects that none of them matches (IoU 0.5) do not count.

    Returns:
        An observation for each point that counts.

    Raises:
        UserError: A picture cannot be read, the model gives scores that are not finite, or nothing was matched.
    """
    by_image: dict[Any, list[Entry]] = defaultdict(list)
    for each in sorted(detections or (), key=lambda each: -each["score"]):
        by_image[each["image_id"]].append(each)
    parts = []
    for chunk in _chunks(progress(pictures, "predicting"), batch_size):
        boxes = [list(picture.objects) if detections is None else by_image[picture.image_id][:BOXES_PER_IMAGE]
                 for picture in chunk]
        results = model.many([imread(picture.path) for picture in chunk], [_xyxy(each) for each in boxes])
        for picture, given, (points, scores) in zip(chunk, boxes, results):
            pairs = match_instances(picture.objects, given) if detections is not None else \
                [(i, i) for i in range(len(given))]
            parts += [_compared(picture.objects[i], picture.image_id, points[j], scores[j], rule) for i, j in pairs]
    if not parts:
        raise UserError("no box of the detector matches a labelled object")
    columns = [np.concatenate(each) for each in zip(*parts)]
    if not np.isfinite(columns[0]).all():
        raise UserError("the model gives scores that are not finite; its training has diverged")
    places = {picture.image_id: number for number, picture in enumerate(pictures)}
    numbers = [places[image_id] for part in parts for image_id in part[3]]
    return Observations(columns[0].astype(float), columns[1].astype(bool), columns[2].astype(int),
                        np.array(numbers, int))


def _compared(entry: Entry, image_id: Any, points: np.ndarray, scores: np.ndarray, rule: Rule
              ) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[Any]]:
    """Scores, whether right, keypoint indices, and the image id for each, of the points of an object that count."""
    labels = np.array(entry["keypoints"], float).reshape(-1, 3)
    labelled = labels[:, 2] > 0
    px = np.linalg.norm(points - labels[:, :2], axis=1)
    right = labelled & (px < rule.distance * max(entry["bbox"][2:]))
    chosen = np.arange(len(labels)) if rule.unlabelled else np.flatnonzero(labelled)
    return scores[chosen], right[chosen], chosen, [image_id] * len(chosen)


def _xyxy(entries: Sequence[Entry]) -> np.ndarray:
    boxes = np.array([each["bbox"] for each in entries], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _chunks(pictures: Iterable[LabelledPicture], boxes: int) -> Iterator[list[LabelledPicture]]:
    """Pictures with about so many objects together."""
    chunk: list[LabelledPicture] = []
    for picture in pictures:
        chunk.append(picture)
        if sum(len(each.objects) for each in chunk) >= boxes:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
