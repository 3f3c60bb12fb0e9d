"""What is kept of which picture: what the pipelines need of it, the greatest saving a byte first, within a budget."""
from __future__ import annotations

import json
import os.path
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import mmdet.datasets.transforms as det
import numpy as np
from mmcv.image.geometric import rescale_size
from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import BaseDataset
from mmpose.datasets.transforms import LoadImage

from pose_tools.console import progress
from pose_tools.openmmlab.image_cache.detector_transforms import size_within
from pose_tools.openmmlab.image_cache.picture import part_name
from pose_tools.openmmlab.image_cache.reach import affine_steps, reach, together
from pose_tools.openmmlab.image_cache.store import FORMATS, place_of
from pose_tools.openmmlab.image_cache.swap import plainly_loaded, takes_lazily

What = tuple[int, ...]


@dataclass
class Pictures:
    """The pictures of a data set.

    Attributes:
        shapes: (height, width) by path.
        boxes: Boxes of the samples by path, xyxy in image px; empty for a detector, whose samples are pictures.
    """

    shapes: dict[str, tuple[int, int]] = field(default_factory=dict)
    boxes: dict[str, list[np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True)
class Wish:
    """What to keep of a picture, for whom, and what for.

    Attributes:
        user: Index of the pipelines that use it.
        path: Of the picture.
        whats: Rectangles (x0, y0, x1, y1) in image px, or sizes (w, h).
        size: Bytes.
        saved: Pixels an epoch that need not be decoded; a part kept as JPEG is itself decoded for every sample.
    """

    user: int
    path: str
    whats: tuple[What, ...]
    size: int
    saved: float

    def file_names(self) -> Iterable[str]:
        """What the names of its files start with."""
        place = place_of(self.path)
        return (f"{place}.{part_name(what)}" for what in self.whats)


def pictures_of(dataset: Any) -> Optional[Pictures]:
    """Lists the pictures of a built data set.

    Args:
        dataset: Of mmdet or mmpose, fully initialised.

    Returns:
        None for a wrapper around data sets, or one that does not say how large its pictures are.
    """
    if not isinstance(dataset, BaseDataset) or not len(dataset):
        return None
    found, sizes = Pictures(), None
    for index in progress(range(len(dataset)), "planning the picture cache"):
        sample = BaseDataset.get_data_info(dataset, index)  # mmpose's own copies its keypoint names for each
        path = sample["img_path"]
        if "height" in sample:
            found.shapes[path] = sample["height"], sample["width"]
            continue
        if sizes is None:
            sizes = _sizes(dataset)
        if path in sizes:
            found.shapes[path] = sizes[path]
            found.boxes.setdefault(path, []).append(sample["bbox"])
    return found if found.shapes else None


def _sizes(dataset: Any) -> dict[str, tuple[int, int]]:
    """Sizes from the annotation file: mmpose's samples do not tell."""
    with open(dataset.ann_file, encoding="utf-8") as file:
        images = json.load(file)["images"]
    folder = dataset.data_prefix["img"]
    return {os.path.join(folder, image["file_name"]): (image["height"], image["width"]) for image in images}


def wishes(user: int, pictures: Pictures, pipelines: Sequence[Sequence[Any]], share: float,
           form: str = "raw") -> list[Wish]:
    """Says what pipelines need of each picture.

    Args:
        user: Number of these pipelines, for :func:`chosen`.
        pictures: Of the data set.
        pipelines: Transforms of upstream's pipelines that use what is kept together.
        share: Of the epochs in which they do.
        form: As what it is kept, see :data:`..store.FORMATS`.
    """
    if not all(any(_loads(step) for step in transforms) for transforms in pipelines):
        return []
    reached = _reached(pictures, pipelines)
    takers = [takes_lazily(transforms) for transforms in pipelines]
    made = []
    for path, shape in pictures.shapes.items():
        if path in reached:
            whats = together(reached[path], shape)
        elif all(taker is not None for taker in takers):
            whats = [_size_taken(taker, shape) for taker in takers]
        else:
            whats = [(0, 0, shape[1], shape[0])]
        areas = [_pixels(what) for what in whats]
        decoded = sum(areas) / len(areas) if areas and form == "jpeg" else 0.0
        saved = (shape[0] * shape[1] - decoded) * len(pictures.boxes.get(path, ".")) * share
        if whats and saved > 0:
            made.append(Wish(user, path, tuple(whats), sum(_bytes(area * FORMATS[form]) for area in areas), saved))
    return made


def _reached(pictures: Pictures, pipelines: Sequence[Sequence[Any]]) -> dict[str, np.ndarray]:
    """By path, (N, 4): what the pipelines' affines reach around its boxes, see :func:`reach`; all at once."""
    steps = [affine_steps(transforms) for transforms in pipelines]
    if not pictures.boxes or not all(steps):
        return {}
    boxes = [np.concatenate(each) for each in pictures.boxes.values()]
    rects = np.stack([reach(each, np.concatenate(boxes)) for each in steps], axis=1)  # type: ignore[arg-type]
    ends = np.cumsum([len(each) for each in boxes])[:-1]
    return {path: part.reshape(-1, 4) for path, part in zip(pictures.boxes, np.split(rects, ends))}


def _loads(step: Any) -> bool:
    return type(step) in (LoadImage, LoadImageFromFile) and plainly_loaded(step)


def _size_taken(taker: Any, shape: tuple[int, int]) -> tuple[int, int]:
    if isinstance(taker, det.CachedMosaic):
        return size_within(shape, taker.img_scale)
    return rescale_size((shape[1], shape[0]), taker.scale)


def _pixels(what: What) -> int:
    return what[0] * what[1] if len(what) == 2 else (what[2] - what[0]) * (what[3] - what[1])


def _bytes(content: int) -> int:
    """What a file takes on disk, in blocks of a file system."""
    return (content // 4096 + 2) * 4096


def chosen(asked: Iterable[Wish], budget: int) -> list[Wish]:
    """Takes the wishes that save most a byte, as many as fit.

    Args:
        asked: All of them.
        budget: Bytes.
    """
    taken, used = [], 0
    for wish in sorted(asked, key=lambda wish: (-wish.saved / wish.size, wish.path, wish.user)):
        if used + wish.size <= budget:
            taken.append(wish)
            used += wish.size
    return taken
