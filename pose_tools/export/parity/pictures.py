"""The pictures and boxes on which two models are compared: given, of the config's data set, or rendered."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from pose_tools.console import UserError
from pose_tools.dataset.data_set import folder_of_images
from pose_tools.export.parity.labels import coco_of_scenes, labelled_for
from pose_tools.formats.coco import load_coco
from pose_tools.formats.images import IMAGE_SUFFIXES
from pose_tools.inference.runtime.facts import ModelFacts

MOST_PICTURES = 200  # more say the same, later
RENDERED = 48  # with two cars each: of a hundred objects and more the 99th percentile is not the largest
RENDERED_SIZE = (512, 384)  # px
_SEED = 5


@dataclass(frozen=True)
class Picture:
    """A picture and the boxes in it.

    Attributes:
        source: Its file, or its pixels, (H, W, 3) BGR uint8.
        boxes: (N, 4) xyxy, image px: where a keypoint model is run.
        image_id: In the annotations.
        annotations: The COCO annotation of each box; empty where nothing is labelled.
    """

    source: Union[Path, np.ndarray]
    boxes: np.ndarray
    image_id: int = 0
    annotations: tuple[Mapping[str, Any], ...] = ()

    def read(self) -> np.ndarray:
        """Gives the pixels, (H, W, 3) BGR uint8, turned as EXIF says.

        Raises:
            UserError: The file is no picture.
        """
        from pose_tools.report.draw import imread

        return self.source if isinstance(self.source, np.ndarray) else imread(self.source)


@dataclass(frozen=True)
class Pictures:
    """Pictures to compare models on.

    Attributes:
        each: The pictures.
        origin: Where they are from, in words.
        truth: COCO annotations of exactly these pictures, whose categories are the model's; ``None`` where nothing
            is labelled that it could be measured by.
    """

    each: tuple[Picture, ...]
    origin: str
    truth: Optional[Mapping[str, Any]] = None

    @classmethod
    def of(cls, images: Optional[Path], checkpoint: Path, facts: Optional[ModelFacts] = None,
           split: str = "test", limit: int = MOST_PICTURES) -> Pictures:
        """Finds pictures.

        Args:
            images: A folder of pictures, or a COCO file with its pictures near it. ``None`` takes those of the data
                set that the checkpoint's config names, if it is there and of the same keypoints, else renders some.
            checkpoint: The checkpoint.
            facts: About it; read from it by default.
            split: Which of the config's: ``test``, ``val`` or ``train``.
            limit: Most pictures; they are taken evenly from all.

        Raises:
            UserError: There are no pictures, or nothing in them is of the model's classes; or it is another file.
            FaultsError: The file is not COCO.
        """
        if facts is None:
            from pose_tools.inference.runtime.torch_facts import facts_of_checkpoint

            facts = facts_of_checkpoint(checkpoint)
        if images is not None:
            if images.is_file() and images.suffix.lower() != ".json":
                raise UserError(f"{images}: give a folder of pictures, or a COCO file (.json)")
            return cls._of_folder(images, limit) if images.is_dir() else cls.of_coco(images, facts, limit)
        named = _named_in_config(checkpoint, split)
        if named is not None:
            try:
                return cls.of_coco(named[0], facts, limit, named[1])
            except UserError:
                pass  # a data set of the same name with other things in it is none of this model's
        return cls.rendered(facts, min(limit, RENDERED))

    @classmethod
    def of_coco(cls, path: Path, facts: ModelFacts, limit: int = MOST_PICTURES,
                folder: Optional[Path] = None) -> Pictures:
        """The pictures of a COCO file; those with nothing on them count for a detector only.

        Args:
            path: The COCO file.
            facts: About the model.
            limit: Most pictures.
            folder: Where the pictures are; near the file by default.

        Raises:
            UserError: No picture is there, or nothing in them is of the model's classes.
            FaultsError: The file is not COCO.
        """
        data = load_coco(path)
        folder = folder or folder_of_images(path, data)
        by_image, why_not = labelled_for(data, facts)
        if why_not:
            raise UserError(f"{path}: {why_not}")
        found = [image for image in data["images"] if (facts.task == "detector" or image["id"] in by_image)
                 and isinstance(image.get("file_name"), str) and (folder / image["file_name"]).is_file()]
        if not found:
            raise UserError(f"{path}: none of its {len(data['images'])} pictures is in {folder} with "
                            f"{' or '.join(facts.classes)} on it")
        chosen = _evenly(found, limit)
        return cls._labelled([folder / image["file_name"] for image in chosen], chosen, by_image, data,
                             f"{len(chosen)} pictures of {path.name}")

    @classmethod
    def _of_folder(cls, folder: Path, limit: int) -> Pictures:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise UserError(f"{folder}: holds no picture")
        each = []
        for path in _evenly(files, limit):
            height, width = Picture(path, np.zeros((0, 4))).read().shape[:2]
            each.append(Picture(path, boxes_without_labels(width, height)))
        return cls(tuple(each), f"{len(each)} pictures of {folder.name}/")

    @classmethod
    def rendered(cls, facts: ModelFacts, count: int = RENDERED) -> Pictures:
        """Rendered cars; labelled, if cars with these keypoints are what the model finds.

        Args:
            facts: About the model.
            count: How many.
        """
        from pose_tools.dataset.demo.scene import render_scene

        scenes = [render_scene(np.random.default_rng((_SEED, i)), RENDERED_SIZE, "street") for i in range(count)]
        data = coco_of_scenes(scenes)
        by_image, why_not = labelled_for(data, facts)
        if why_not:
            each = tuple(Picture(scene.image, np.array([car.box for car in scene.cars])) for scene in scenes)
            return cls(each, f"{count} rendered pictures of cars, which is not what it was trained on")
        return cls._labelled([scene.image for scene in scenes], data["images"], by_image, data,
                             f"{count} rendered pictures of cars")

    @classmethod
    def _labelled(cls, sources: Sequence[Union[Path, np.ndarray]], images: Sequence[Mapping[str, Any]],
                  by_image: Mapping[Any, Sequence[Mapping[str, Any]]], data: Mapping[str, Any],
                  origin: str) -> Pictures:
        """Puts pictures together with their annotations, of which crowds are no boxes to run a model in."""
        each = []
        for source, image in zip(sources, images):
            objects = tuple(entry for entry in by_image.get(image["id"], ()) if not entry["iscrowd"])
            each.append(Picture(source, _boxes(objects), image["id"], objects))
        kept = {entry["category_id"] for entries in by_image.values() for entry in entries}
        truth = {"images": [dict(image) for image in images],
                 "annotations": [entry for image in images for entry in by_image.get(image["id"], ())],
                 "categories": [category for category in data["categories"] if category["id"] in kept]}
        return cls(tuple(each), origin, truth)

    def __iter__(self) -> Iterator[Picture]:
        """Goes through the pictures."""
        return iter(self.each)

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.each)

    @property
    def labelled(self) -> int:
        """How many boxes are labelled objects that an AP can be measured on."""
        return sum(len(picture.annotations) for picture in self.each) if self.truth is not None else 0

    def up_to(self, boxes: int) -> Pictures:
        """The pictures with at most so many boxes together, evenly from all; at least one."""
        total = sum(len(picture.boxes) for picture in self.each)
        if total <= boxes:
            return self
        each, count = [], 0
        for picture in _evenly(self.each, max(1, len(self.each) * boxes // total)):
            if not each or count + len(picture.boxes) <= boxes:
                each.append(picture)
                count += len(picture.boxes)
        return Pictures(tuple(each), self.origin, self._truth_of(each))

    def _truth_of(self, pictures: Sequence[Picture]) -> Optional[dict[str, Any]]:
        if self.truth is None:
            return None
        ids = {picture.image_id for picture in pictures}
        return {"images": [image for image in self.truth["images"] if image["id"] in ids],
                "annotations": [entry for entry in self.truth["annotations"] if entry["image_id"] in ids],
                "categories": self.truth["categories"]}

    def first(self, boxes: int) -> Pictures:
        """The first pictures, which have at least so many boxes together, if all have."""
        chosen, count = [], 0
        for picture in self.each:
            if count >= boxes:
                break
            chosen.append(picture)
            count += len(picture.boxes)
        return Pictures(tuple(chosen), self.origin)


def boxes_without_labels(width: int, height: int) -> np.ndarray:
    """Boxes for a picture of which nothing is known: all of it, its middle, and one that leaves it at the top left.

    Args:
        width: Of the picture, px.
        height: Likewise.

    Returns:
        (3, 4) xyxy, image px.
    """
    return np.array([[0, 0, 1, 1], [0.25, 0.25, 0.75, 0.75], [-0.1, -0.2, 0.5, 0.6]]) * [width, height, width, height]


def _boxes(annotations: Sequence[Mapping[str, Any]]) -> np.ndarray:
    boxes = np.array([annotation["bbox"] for annotation in annotations], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _evenly(items: Sequence[Any], limit: int) -> list[Any]:
    if len(items) <= limit:
        return list(items)
    return [items[index] for index in np.linspace(0, len(items) - 1, limit).round().astype(int)]


def _named_in_config(checkpoint: Path, split: str) -> Optional[tuple[Path, Path]]:
    """The annotation file and the image folder that a checkpoint's config names, if they are there."""
    from pose_tools.openmmlab.config import ROOT, annotation_file, embedded_config, image_folder

    cfg = embedded_config(checkpoint)
    dataset = ((cfg or {}).get(f"{split}_dataloader") or {}).get("dataset") or {}
    if "ann_file" not in dataset:
        return None
    file, folder = ROOT / annotation_file(dataset), ROOT / image_folder(dataset)
    return (file, folder) if file.is_file() and folder.is_dir() else None
