"""The sample picture of a published model: a given one, or what the model finds in some."""
from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Callable, Optional

import numpy as np

from pose_tools.console import Fault, UserError

MOST_PICTURES, COLUMNS, CELL_WIDTH = 4, 2, 640  # of a sheet of several, px
MOST_SIDE = 1280  # px, of one
BOX_THRESHOLD, KEYPOINT_THRESHOLD = 0.3, 0.3


def plan_sample(picture: Optional[Path], images: Sequence[Path], det: Optional[Path]
                ) -> tuple[list[Fault], Optional[Callable[[Path, Path], str]]]:
    """Prepares the sample picture of a release.

    Args:
        picture: A picture to take, or
        images: Pictures and folders of pictures to let the model predict, of which the first are taken.
        det: A published detector that finds the objects for a keypoint model; without one each picture is one object.

    Returns:
        What is wrong with these; and a function that takes the published checkpoint and the file to write,
        writes the same bytes each time, and says what the picture shows. None where there is to be none.
    """
    from pose_tools.report.draw import imread

    faults = [Fault(det, "no such file")] if det and not det.is_file() else []
    pictures: list[Path] = []
    try:
        pictures = [picture] if picture else find_pictures(images)[:MOST_PICTURES] if images else []
        for path in pictures:
            imread(path)
    except UserError as error:
        place, _, what = str(error).partition(": ")
        faults.append(Fault(place, what) if what else Fault("--sample-images", place))
    if picture:
        return faults, partial(_take, picture)
    return faults, partial(_draw, pictures, det) if images else None


def find_pictures(inputs: Sequence[Path]) -> list[Path]:
    """Lists picture files, those of folders sorted by name.

    Args:
        inputs: Pictures, and folders of them.

    Raises:
        UserError: An input does not exist, or there is no picture at all.
    """
    from pose_tools.inference.media import open_sources

    found = [source.path for source in open_sources(list(inputs)) if source.kind == "image" and source.path]
    if not found:
        raise UserError(f"no picture in {', '.join(map(str, inputs))}")
    return found


def _take(picture: Path, _published: Path, target: Path) -> str:
    """Encodes a picture anew: what cameras write beside it, the place for one, is not published."""
    from pose_tools.report.draw import imread, imwrite

    imwrite(target, _within(imread(picture)))
    return "A sample picture."


def _draw(pictures: Sequence[Path], det: Optional[Path], published: Path, target: Path) -> str:
    from pose_tools.report.draw import contact_sheet, imread, imwrite

    with _one_thread():
        with contextlib.redirect_stdout(io.StringIO()):  # mmengine tells every file it loads
            draw, boxes = _drawer(published, det)
        drawn = [draw(imread(path)) for path in pictures]
    imwrite(target, contact_sheet(drawn, COLUMNS, CELL_WIDTH) if len(drawn) > 1 else _within(drawn[0]))
    return f"What this model finds{boxes}."


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Sums are then added in the same order on every run."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _drawer(published: Path, det: Optional[Path]) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """Gives a function that predicts a BGR picture and draws what was found, and says where the boxes come from."""
    from pose_tools.inference.runtime.torch_facts import read_checkpoint_config
    from pose_tools.inference.topdown import TopDown
    from pose_tools.report.draw import draw_instances

    if read_checkpoint_config(published)[1] == "detector":
        if det is not None:
            raise UserError(f"{det}: --det is for the samples of a keypoint model, and this is a detector")
        return _detections_drawer(published), ""
    model = TopDown(det, published, "cpu", BOX_THRESHOLD)

    def draw(image: np.ndarray) -> np.ndarray:
        found = model(image)
        return draw_instances(image, found.boxes if det else None, found.keypoints, found.keypoint_scores,
                              model.keypoint_set, KEYPOINT_THRESHOLD, box_scores=found.box_scores if det else None)

    return draw, " in the boxes of a detector" if det else ", each picture taken for one object"


def _detections_drawer(published: Path) -> Callable[[np.ndarray], np.ndarray]:
    from pose_tools.formats.schema import KeypointSet
    from pose_tools.inference.topdown import RunOptions
    from pose_tools.report.draw import draw_instances

    model = RunOptions(device="cpu").detector_model(published, BOX_THRESHOLD)
    names = KeypointSet(model.classes, ())

    def draw(image: np.ndarray) -> np.ndarray:
        boxes, scores, labels = model(image)
        return draw_instances(image, boxes, None, None, names, box_scores=scores, class_ids=labels)

    return draw


def _within(image: np.ndarray) -> np.ndarray:
    """Reduces a picture whose longer side is beyond :data:`MOST_SIDE`."""
    import cv2

    factor = MOST_SIDE / max(image.shape[:2])
    if factor >= 1:
        return image
    size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
