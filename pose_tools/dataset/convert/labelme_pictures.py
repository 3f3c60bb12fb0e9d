"""Turning labelme files into pictures, each by itself, so that several processes can do it.

A picture carries its objects as pieces of the COCO file to be: a hundred thousand of them fit into memory easily.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional, Union

from pose_tools.console import Fault, FaultsError
from pose_tools.formats.coco import coco_annotation
from pose_tools.formats.coco_stream import annotation_piece
from pose_tools.formats.images import ImageError, ImageIndex, ImageSource, find_image, read_header, source_of
from pose_tools.formats.labelme import LabelmeFile, read_embedded_image, read_labelme
from pose_tools.formats.labels import LabelRules, labels_used, sort_shapes
from pose_tools.formats.ownership import Instance, Pad, find_instances
from pose_tools.formats.schema import KeypointSet
from pose_tools.formats.shapes import segmentation


class PictureObject(NamedTuple):
    """An object of a picture.

    Attributes:
        category: Index of its class, from 0.
        seen: Visibility 0, 1 or 2 of its K keypoints, a digit each.
        made: Whether its box was made around its points.
        piece: Its annotation as JSON, without ids.
    """

    category: int
    seen: str
    made: bool
    piece: str


class Picture(NamedTuple):
    """An image of the data set to be, with its objects.

    Attributes:
        source: The image and how to write it.
        objects: Its objects; none for a negative.
        name: Its ``file_name`` in COCO, relative to ``images/``; empty until names are given out.
    """

    source: ImageSource
    objects: tuple[PictureObject, ...] = ()
    name: str = ""


class ReadFile(NamedTuple):
    """What became of a labelme file.

    Attributes:
        picture: ``None`` when there are faults.
        faults: What is wrong.
        is_labelme: Whether it could be read at all.
        described: The image file it describes; empty when there is none or it is embedded.
        image: Where that really is.
        claimed: Where the images really are that it accounts for.
        passed_over: Shapes that mean nothing here, by label and kind.
        unknown: Names it uses that it should have been read with; then nothing else is told. ``None``: none.
    """

    picture: Optional[Picture]
    faults: tuple[Fault, ...] = ()
    is_labelme: bool = True
    described: str = ""
    image: str = ""
    claimed: tuple[str, ...] = ()
    passed_over: Mapping[str, int] = {}
    unknown: Optional[KeypointSet] = None


@dataclass(frozen=True)
class PictureReader:
    """Turns labelme files into pictures.

    Attributes:
        index: The images at hand.
        rules: Names, labels to ignore, and visibility suffixes.
        pad: Room around points that have no box; ``None`` makes them faults.
        verify: Decode the images.
        open_names: Which of ``"classes"`` and ``"keypoints"`` in ``rules`` may lack some that the data have.
    """

    index: ImageIndex
    rules: LabelRules
    pad: Optional[Pad] = None
    verify: bool = False
    open_names: tuple[str, ...] = ()

    def __call__(self, paths: Iterable[str]) -> list[ReadFile]:
        """Reads files."""
        return [self._read(path) for path in paths]

    def _read(self, path: str) -> ReadFile:
        try:
            file = read_labelme(path)
        except FaultsError as error:
            return ReadFile(None, error.faults, is_labelme=False)
        found = sort_shapes(file, self.rules)
        # Where names may have suffixes, a label can be one of them and yet stand for another.
        if self.open_names and (found.faults or self.rules.suffixes):
            unknown = self._unknown(file)
            if unknown:
                return ReadFile(None, unknown=unknown)
        image = find_image(file, self.index)
        source = image.source
        size = source.size if source else file.size
        instances, faults = find_instances(file, found, self.rules.names.classes, self.pad, size)
        faults = [*image.faults, *found.faults, *faults]
        if source and self.verify and (told := _damage(file, source)):
            faults.append(Fault(file.path, told))
        described = str(source.origin) if source and image.real else ""
        if faults or source is None:
            return ReadFile(None, tuple(faults), True, described, image.real, image.claimed)
        objects = tuple(_picture_object(instance, source, self.rules.names) for instance in instances)
        return ReadFile(Picture(source, objects), (), True, described, image.real, image.claimed, found.passed_over)

    def _unknown(self, file: LabelmeFile) -> Optional[KeypointSet]:
        used = labels_used([file], self.rules.ignored, self.rules.suffixes)
        new = {what: tuple(name for name in getattr(used, what) if name not in getattr(self.rules.names, what))
               for what in self.open_names}
        return KeypointSet(new.get("classes", ()), new.get("keypoints", ())) if any(new.values()) else None


def _damage(file: LabelmeFile, source: ImageSource) -> str:
    from pose_tools.dataset.decoding import verify_image

    if not source.embedded:
        told = verify_image(source.origin)
        return told and f"its image {source.origin} {told}"
    told = verify_image(read_embedded_image(file.path))
    return told and f"imageData {told}"


def _picture_object(instance: Instance, source: ImageSource, names: KeypointSet) -> PictureObject:
    points = {point.name: (*point.shape.points[0], point.visibility) for point in instance.points}
    triples = [points.get(name, (0.0, 0.0, 0)) for name in names.keypoints]
    outline, area = segmentation(instance.shapes, source.size) if instance.shapes else ([], 0.0)
    category = names.classes.index(instance.label)
    annotation = coco_annotation(0, 0, category + 1, instance.box, triples, outline, area)
    seen = "".join(str(v) for _, _, v in triples)
    return PictureObject(category, seen, not instance.shapes, annotation_piece(annotation))


@dataclass(frozen=True)
class BareReader:
    """Reads images that no labelme file describes.

    Attributes:
        verify: Decode them.
    """

    verify: bool = False

    def __call__(self, paths: Sequence[str]) -> list[Union[ImageSource, str]]:
        """How to take each into the data set, or what is wrong with it."""
        return [self._read(path) for path in paths]

    def _read(self, path: str) -> Union[ImageSource, str]:
        from pose_tools.dataset.decoding import verify_image

        try:
            header = read_header(path)
        except ImageError as error:
            return str(error)
        told = verify_image(path) if self.verify else ""
        return told or source_of(path, header)
