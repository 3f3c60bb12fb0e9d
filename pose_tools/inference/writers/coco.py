"""COCO results: one object an instance, in the form that evaluation tools read, and a little more."""
from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

from pose_tools.console.atomic import temporary_beside
from pose_tools.inference.writers.writer import Writer

if TYPE_CHECKING:
    from pose_tools.inference.result import Result

_DIGITS = 3  # of px; scores get one more


def coco_results(result: Result, image_id: Optional[int] = None) -> list[dict[str, Any]]:
    """One COCO result an object.

    Args:
        result: Of one picture or frame.
        image_id: Of the picture in a COCO file; without one ``file_name`` tells which picture it is.

    Returns:
        Dictionaries of ``image_id`` or ``file_name``; ``frame`` and ``time`` (s) in a video; ``category_id`` from 1;
        ``bbox`` [x, y, w, h] and ``keypoints`` [x, y, score] * K in image px; ``score`` of the box;
        ``keypoint_score``, which says what the scores of the keypoints are: ``raw`` (maxima that can exceed 1) or
        ``probability``; ``track_id`` and ``vehicle_pose`` where they were asked for. No value is NaN: a keypoint that
        is no number becomes [0, 0, 0], and an object whose box is none is left out.
    """
    place: dict[str, Any] = {"file_name": result.source} if image_id is None else {"image_id": image_id}
    if result.time is not None:
        place.update(frame=int(result.number), time=round(float(result.time), 4))
    return [{**place, **each} for each in objects_of(result)]


def objects_of(result: Result) -> list[dict[str, Any]]:
    """As :func:`coco_results`, without what all objects of a picture share."""
    boxes = np.asarray(result.boxes, float).reshape(-1, 4)
    count = len(boxes)
    sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).round(_DIGITS)
    points, scores = clean_keypoints(result)
    flat = np.concatenate([points.round(_DIGITS + 1), scores[..., None].round(_DIGITS + 1)], axis=2)
    sound = np.isfinite(sizes).all(axis=1)
    box_scores = np.nan_to_num(np.asarray(result.box_scores, float).reshape(count)).round(_DIGITS + 1)
    found = []
    for i in np.flatnonzero(sound):
        each: dict[str, Any] = {
            "category_id": int(result.labels[i]) + 1, "bbox": sizes[i].tolist(), "score": float(box_scores[i]),
            "keypoints": flat[i].ravel().tolist(), "keypoint_score": result.score_kind}
        if result.track_ids is not None:
            each["track_id"] = int(result.track_ids[i])
        if result.vehicle_poses is not None:
            pose = result.vehicle_poses[i]
            each["vehicle_pose"] = None if pose is None else without_nan(pose.to_dict())
        found.append(each)
    return found


def clean_keypoints(result: Result) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (N, K, 2), image px, and scores (N, K), float64; 0 where one of them is no finite number."""
    count = len(np.asarray(result.boxes).reshape(-1, 4))
    points = np.asarray(result.keypoints, float).reshape(count, len(result.keypoint_set.keypoints), 2)
    scores = np.asarray(result.scores, float).reshape(points.shape[:2])
    sound = np.isfinite(points).all(axis=2) & np.isfinite(scores)
    return np.where(sound[..., None], points, 0.0), np.where(sound, scores, 0.0)


def without_nan(value: Any) -> Any:
    """A copy of what is to become JSON, which has no word for NaN and infinity: they become None."""
    if isinstance(value, dict):
        return {str(key): without_nan(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return without_nan(value.tolist())
    if isinstance(value, (list, tuple)):
        return [without_nan(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def to_json(value: Any) -> str:
    """One line of JSON; raises ValueError rather than writing NaN."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


class CocoResults(Writer):
    """Writes one JSON list of results; the file appears whole when this is closed, and takes no memory before.

    Args:
        path: Where to write; its folder is made.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        """Opens a temporary file beside."""
        super().__init__()
        self.path = Path(path)
        self._files = ExitStack()
        self._temporary, self._file = self._files.enter_context(temporary_beside(self.path))
        self._file.write(b"[")
        self._count, self._done = 0, False

    def add(self, result: Result, image_id: Optional[int] = None) -> None:
        """Writes the objects of a picture or frame, one a line."""
        for each in coco_results(result, image_id):
            self._file.write((",\n" if self._count else "\n").encode() + to_json(each).encode("utf-8", "replace"))
            self._count += 1

    def close(self) -> None:
        """Puts the file into place."""
        if self._done:
            return
        self._done = True
        with self._files:
            self._file.write(b"\n]\n" if self._count else b"]\n")
            self._file.close()
            self._temporary.replace(self.path)

    def abort(self) -> None:
        """Removes what was written."""
        self._done = True
        self._files.close()
