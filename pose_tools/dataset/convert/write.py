"""Writing the pictures of a conversion: their images, and a COCO file for each side."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Optional

from pose_tools.console import progress
from pose_tools.dataset.convert.labelme_pictures import Picture
from pose_tools.dataset.counts import Counts
from pose_tools.dataset.parallel import map_items
from pose_tools.formats.coco import coco_categories, coco_image
from pose_tools.formats.coco_stream import encode, save_pieces, with_ids
from pose_tools.formats.images import link_or_copy, write_image
from pose_tools.formats.schema import KeypointSet


@dataclass(frozen=True)
class _ImageWriter:
    """Writes images that have to be taken out of a labelme file or rewritten."""

    folder: Path

    def __call__(self, pictures: Sequence[Picture]) -> list[None]:
        return [write_image(picture.source, self.folder / PurePosixPath(picture.name)) for picture in pictures]


def write_images(pictures: Sequence[Picture], folder: Path, workers: Optional[int] = None) -> None:
    """Puts images into place.

    Args:
        pictures: With their names.
        folder: The data set's ``images/``.
        workers: How many processes may write those that cannot be linked; ``None``: as many as there are processors.

    Raises:
        OSError: One cannot be read or written.
        UserError: Embedded data has gone, or a process was ended from outside.
    """
    anew = [picture for picture in pictures if picture.source.embedded or picture.source.rewrite]
    with closing(map_items(_ImageWriter(folder), anew, "writing images", workers, fewest=64)) as written:
        for _ in written:
            pass
    top = str(folder)
    for picture in progress(pictures, "linking images"):
        if not (picture.source.embedded or picture.source.rewrite):
            link_or_copy(picture.source.origin, f"{top}/{picture.name}")


def save_side(path: Path, pictures: Sequence[Picture], names: KeypointSet, first_image: int = 1,
              first_annotation: int = 1) -> None:
    """Writes a COCO file.

    Args:
        path: Where to write.
        pictures: With their names.
        names: Classes and keypoints.
        first_image: Id of the first image.
        first_annotation: Id of the first annotation.
    """
    def images() -> Iterator[str]:
        for number, picture in enumerate(progress(pictures, f"writing {path.name}"), first_image):
            yield encode(coco_image(number, picture.name, picture.source.size))

    def annotations() -> Iterator[str]:
        annotation = first_annotation
        for number, picture in enumerate(pictures, first_image):
            for thing in picture.objects:
                yield with_ids(thing.piece, annotation, number)
                annotation += 1

    save_pieces(path, "labelme2coco", images(), annotations(), coco_categories(names))


def count_pictures(pictures: Sequence[Picture], names: KeypointSet) -> Counts:
    """Counts what :func:`pose_tools.dataset.counts.count` does, from pictures."""
    kinds = Counter((thing.category, thing.seen) for picture in pictures for thing in picture.objects)
    found = Counts(len(pictures), sum(not picture.objects for picture in pictures))
    for (category, seen), times in kinds.items():
        found.classes[names.classes[category]] += times
        found.bare += 0 if seen.strip("0") else times
        for name, v in zip(names.keypoints, seen):
            found.labelled[name] += times * (v != "0")
            found.occluded[name] += times * (v == "1")
    return found
