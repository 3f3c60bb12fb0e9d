"""Boxes that are given instead of found: COCO annotations, COCO results, or predictions.json of predict.py."""
from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Optional

import numpy as np

from pose_tools.console import Fault, FaultsError, UserError

Found = tuple[np.ndarray, np.ndarray, np.ndarray]
Row = tuple[float, float, float, float, float, int]  # x1 y1 x2 y2 score label
_MOST_FAULTS = 20


@dataclass
class _Picture:
    """Boxes of a picture, or of the frames of a video."""

    parts: tuple[str, ...]
    frames: dict[Optional[int], list[Row]] = field(default_factory=dict)


class GivenBoxes:
    """The boxes of a file by picture, and by frame for videos.

    Args:
        path: COCO annotations, or a list of COCO results, which name their picture by ``file_name``, and the frame of a
            video by ``frame`` from 0.
        classes: Of the keypoint model. Annotations are matched with them by the name of their category, results by
            ``category_id`` from 1.
        annotations: The COCO annotations that say what the ``image_id`` of results without ``file_name`` means.
        least_score: Results with a lower score are left out.

    Attributes:
        path: The file.

    Raises:
        UserError: The file cannot be read, is of another kind, or its categories do not fit.
        FaultsError: Entries are broken; all are listed.
    """

    def __init__(self, path: Path, classes: Sequence[str], annotations: Optional[Path] = None,
                 least_score: float = 0.0) -> None:
        """Reads the file."""
        self.path = path
        self._by_name: dict[str, dict[tuple[str, ...], _Picture]] = {}
        content = _read_json(path)
        if isinstance(content, dict) and "annotations" in content:
            self._lists_all = True
            rows = _rows_of_annotations(content, tuple(classes), path, self)
        elif isinstance(content, list):
            table = None if annotations is None else _read_json(annotations)
            if table is not None and not isinstance(table, dict):
                raise UserError(f"{annotations}: holds no COCO annotations")
            self._lists_all = table is not None
            rows = _rows_of_results(content, tuple(classes), path, table, least_score, self)
        else:
            raise UserError(f"{path}: holds neither COCO annotations nor a list of COCO results")
        faults = []
        for where, answer in rows:
            if isinstance(answer, str):
                faults.append(Fault(path, answer, where))
            else:
                picture, frame, row = answer
                picture.frames.setdefault(frame, []).append(row)
        if faults:
            more = len(faults) - _MOST_FAULTS
            raise FaultsError(faults[:_MOST_FAULTS], f"and {more} more of the kind" if more > 0 else "")

    def picture(self, name: str) -> _Picture:
        """Gives the entry of a file name, new where there is none."""
        parts = _parts(name)
        return self._by_name.setdefault(parts[-1] if parts else "", {}).setdefault(parts, _Picture(parts))

    def find(self, name: str, frame: Optional[int] = None) -> Found:
        """Gives the boxes of a picture or of a frame.

        The picture is the one whose path shares most folders, from the file name backwards; of several, one whose
        whole path is shared.

        Args:
            name: Path of the picture or video.
            frame: From 0, of a video.

        Returns:
            Boxes (N, 4) xyxy, image px, scores (N,) and labels (N,).

        Raises:
            UserError: The file does not name the picture, or names several that it could be.
        """
        picture = self._match(name)
        rows = [] if picture is None else picture.frames.get(frame, [])
        if picture is not None and frame is not None and not rows and set(picture.frames) == {None}:
            raise UserError(f"{name}: its boxes in {self.path} do not say of which frame they are")
        array = np.array(rows, np.float64).reshape(-1, 6)
        return array[:, :4].astype(np.float32), array[:, 4].astype(np.float32), array[:, 5].astype(int)

    def _match(self, name: str) -> Optional[_Picture]:
        parts = _parts(name)
        named = list(self._by_name.get(parts[-1] if parts else "", {}).values())
        if not named:
            if self._lists_all:
                raise UserError(f"{name}: {self.path} has no picture of that name")
            return None  # results list no pictures without objects
        shared = [(count := _shared(parts, each.parts), count == len(each.parts)) for each in named]
        best = [each for each, fit in zip(named, shared) if fit == max(shared)]
        if len(best) > 1:
            which = " or ".join("/".join(each.parts) for each in best[:3])
            raise UserError(f"{name}: could be {which} of {self.path}")
        return best[0]

    def names_any(self, names: Sequence[str]) -> bool:
        """Whether any of the names is in the file at all."""
        return any(parts and parts[-1] in self._by_name for parts in map(_parts, names))


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", ".", ".."))


def _shared(first: Sequence[str], second: Sequence[str]) -> int:
    count = 0
    for a, b in zip(reversed(first), reversed(second)):
        if a != b:
            break
        count += 1
    return count


def _read_json(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: is no JSON: {error}") from error


Answer = tuple[str, Any]  # where it stands, and what is wrong or (picture, frame, row)


def _pictures(content: Mapping[str, Any], path: Path, given: GivenBoxes) -> dict[Any, tuple[_Picture, Optional[int]]]:
    """Picture and frame by image id, from the ``images`` (and ``videos``) of COCO annotations."""
    images, videos = content.get("images"), content.get("videos") or []
    if not isinstance(images, list) or not all(isinstance(each, dict) and "id" in each for each in images):
        raise UserError(f"{path}: its images are no list of pictures with ids")
    names = {each.get("id"): str(each.get("name") or each.get("file_name") or "") for each in videos
             if isinstance(each, dict)}
    found = {}
    for image in images:
        name, frame = str(image.get("file_name") or ""), None
        if image.get("video_id") in names and isinstance(image.get("frame_id"), int):
            name, frame = names[image["video_id"]], image["frame_id"]
        if not name:
            raise UserError(f"{path}: image {image['id']}: has no file_name")
        picture = given.picture(name)
        picture.frames.setdefault(frame, [])
        found[image["id"]] = (picture, frame)
    return found


def _labels(content: Mapping[str, Any], classes: tuple[str, ...], path: Path) -> dict[Any, int]:
    """The model's label by category id."""
    named = {each.get("id"): each.get("name") for each in content.get("categories") or [] if isinstance(each, dict)}
    labels = {key: classes.index(name) for key, name in named.items() if name in classes}
    if not labels and len(named) == len(classes) == 1:
        return dict.fromkeys(named, 0)
    if not labels:
        raise UserError(f"{path}: its categories are {', '.join(map(str, named.values())) or 'none'}, and the keypoint "
                        f"model is for {', '.join(classes)}")
    return labels


def _rows_of_annotations(content: Mapping[str, Any], classes: tuple[str, ...], path: Path,
                         given: GivenBoxes) -> Iterator[Answer]:
    pictures, labels = _pictures(content, path, given), _labels(content, classes, path)
    for number, each in enumerate(content["annotations"]):
        where = f"annotation {each.get('id', number) if isinstance(each, dict) else number}"
        if not isinstance(each, dict):
            yield where, "is no annotation"
        elif each.get("iscrowd") or each.get("category_id") not in labels:
            continue
        elif each.get("image_id") not in pictures:
            yield where, f"image_id {each.get('image_id')!r} is none of its images"
        elif not _is_box(each.get("bbox")):
            yield where, f"bbox {each.get('bbox')!r} is not four finite numbers x, y, w, h"
        else:
            yield where, (*pictures[each["image_id"]], _row(each["bbox"], 1.0, labels[each["category_id"]]))


def _rows_of_results(content: Sequence[Any], classes: tuple[str, ...], path: Path, table: Optional[Mapping[str, Any]],
                     least_score: float, given: GivenBoxes) -> Iterator[Answer]:
    pictures = {} if table is None else _pictures(table, path, given)
    labels = {number + 1: number for number in range(len(classes))} if table is None else _labels(table, classes, path)
    for number, each in enumerate(content):
        where = f"result {number}"
        if not isinstance(each, dict):
            yield where, "is no COCO result"
            continue
        if each.get("image_id") in pictures:
            picture, frame = pictures[each["image_id"]]
        elif each.get("file_name"):
            picture, frame = given.picture(str(each["file_name"])), each.get("frame")
        elif table is None:
            raise UserError(f"{path}: its results have an image_id and no file_name; --coco FILE says which "
                            "pictures they are of")
        else:
            yield where, f"image_id {each.get('image_id')!r} is none of its images"
            continue
        score = each.get("score", 1.0)
        if not _is_box(each.get("bbox")):
            yield where, f"bbox {each.get('bbox')!r} is not four finite numbers x, y, w, h"
        elif not isinstance(score, (int, float)) or not np.isfinite(score):
            yield where, f"score {score!r} is not a finite number"
        elif each.get("category_id") not in labels:
            if table is None:
                yield where, f"category_id {each.get('category_id')!r} is not from 1 to {len(classes)}"
        elif score >= least_score:
            yield where, (picture, frame, _row(each["bbox"], float(score), labels[each["category_id"]]))


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(
        isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value) for value in box)


def _row(box: Sequence[float], score: float, label: int) -> Row:
    x, y, width, height = box
    return (x, y, x + width, y + height, score, label)
