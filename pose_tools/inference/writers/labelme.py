"""labelme files of what was found, to be corrected by hand and read again by ``labelme2coco.py``."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

from pose_tools.console import UserError
from pose_tools.formats.coco import write_text
from pose_tools.formats.images import ImageError, read_header, source_of, write_image
from pose_tools.formats.labelme_write import labelme_content, labelme_shape, labelme_text
from pose_tools.inference.writers.coco import clean_keypoints
from pose_tools.inference.writers.writer import Names, Writer

if TYPE_CHECKING:
    from pose_tools.inference.result import Result

_DIGITS = 3  # of px


def labelme_content_of(result: Result, image_path: Optional[str] = None, kpt_thr: float = 0.3) -> dict[str, Any]:
    """The content of a labelme file.

    Args:
        result: Of one picture or frame.
        image_path: Of the picture, relative to the file; the source's file name by default.
        kpt_thr: Least score of a keypoint that is written; the others are left for the user to set.

    Returns:
        A rectangle and points for each object, joined by ``group_id`` (the track's, else from 1), with their scores
        as description. Each point has a switch ``occluded``, off, to be set by hand. Boxes end at the picture's edge,
        as labelme draws them, and points beyond it are left out; so are objects whose box is outside or no number.
    """
    height, width = result.image.shape[:2]
    boxes = np.asarray(result.boxes, float).reshape(-1, 4)
    inside = np.clip(boxes, 0, [width, height, width, height]).round(_DIGITS)
    points, scores = clean_keypoints(result)
    points = points.round(_DIGITS)
    shown = (scores >= kpt_thr) & (points >= 0).all(axis=2) & (points <= [width, height]).all(axis=2) & (scores > 0)
    shapes = []
    for i, (x0, y0, x1, y1) in enumerate(inside):
        if not (x1 > x0 and y1 > y0):  # NaN compares as False
            continue
        group = i + 1 if result.track_ids is None else int(result.track_ids[i])
        shapes.append(labelme_shape(_class_of(result, i), [[x0, y0], [x1, y1]], group, "rectangle",
                                    description=_said(result.box_scores[i])))
        for k in np.flatnonzero(shown[i]):
            shapes.append(labelme_shape(result.keypoint_set.keypoints[k], [points[i, k]], group, "point",
                                        {"occluded": False}, _said(scores[i, k])))
    name = Path(result.source).name if image_path is None else image_path
    return labelme_content(shapes, name, (width, height))


def _class_of(result: Result, index: int) -> str:
    return result.classes[int(result.labels[index])]


def _said(score: float) -> str:
    # 0, 1 and 2 alone would be read as a visibility.
    return f"score {np.nan_to_num(float(score)):.3f}"


class Labelme(Writer):
    """Writes a labelme file a picture into a folder, beside the picture, so that labelme opens it as it is.

    A picture file is hard-linked where that works, else copied, and rewritten where labelme and OpenCV would not show
    the same; frames are written as JPEG, since a video is packed with loss already, arrays as PNG.

    Args:
        folder: Where to write; made when the first comes.
        kpt_thr: Least score of a keypoint that is written.

    Raises:
        UserError: The folder holds JSON files already: they may have been corrected by hand.
    """

    def __init__(self, folder: Union[str, Path], kpt_thr: float = 0.3) -> None:
        """Writes nothing yet."""
        super().__init__()
        if any(Path(folder).glob("*.json")):
            raise UserError(f"{folder}: holds JSON files, perhaps corrected by hand already; choose another folder")
        self._folder, self._kpt_thr, self._names = Path(folder), kpt_thr, Names()

    def add(self, result: Result, path: Optional[Path] = None) -> Path:
        """Writes a picture and its labelme file.

        Args:
            result: What was found.
            path: The picture's file; None for a frame or an array.

        Returns:
            The labelme file.
        """
        stem = self._names.free(result)
        picture = self._put(result, stem, path)
        target = self._folder / f"{stem}.json"
        write_text(target, labelme_text(labelme_content_of(result, picture, self._kpt_thr)))
        return target

    def _put(self, result: Result, stem: str, path: Optional[Path]) -> str:
        """Puts the picture into the folder; returns its name there."""
        from pose_tools.report.draw import imwrite

        source = _usable(result, path)
        if source is not None:
            target = self._folder / (stem + Path(source.name).suffix)
            if not (target.exists() and target.samefile(path)):
                target.unlink(missing_ok=True)
                write_image(source, target)
            return target.name
        name = stem + (".png" if result.time is None else ".jpg")
        imwrite(self._folder / name, result.image)
        return name


def _usable(result: Result, path: Optional[Path]) -> Any:
    """How the picture's file can be taken over; None where its pixels have to be written."""
    if path is None:
        return None
    try:
        source = source_of(path, read_header(path))
    except (ImageError, OSError):
        return None
    return source if source.size == result.image.shape[1::-1] else None
