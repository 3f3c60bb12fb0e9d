"""COCO annotations or predictions as labelme files, to look at and correct by hand."""
from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose_tools.console import Fault, FaultsError, progress
from pose_tools.console.folder import check_destination, new_folder
from pose_tools.dataset.coco_folder import size_fault
from pose_tools.dataset.convert.labelme_sources import Picture, outlines_of
from pose_tools.dataset.faults import fold_faults
from pose_tools.formats.coco import write_text
from pose_tools.formats.images import ImageError, read_header, source_of, write_image
from pose_tools.formats.labelme_write import labelme_content, labelme_shape, labelme_text
from pose_tools.formats.schema import KeypointSet


@dataclass
class LabelmeExport:
    """What was written.

    Attributes:
        images: Number of images, with or without objects.
        objects: Of them.
        points: Keypoints written.
    """

    images: int = 0
    objects: int = 0
    points: int = 0


def shapes_of(annotation: Mapping[str, Any], group: int, label: str, names: Sequence[str],
              keypoint_thr: float) -> list[dict[str, Any]]:
    """The labelme shapes of one object: its outline or box, and its keypoints.

    Args:
        annotation: A COCO annotation, or a result: with a ``score``, the third number of its keypoints is one too.
        group: Its ``group_id``.
        label: Its class.
        names: K keypoint names.
        keypoint_thr: Keypoints of a result with a lower score are left out.
    """
    score = annotation.get("score")
    said = "" if score is None else f"score {score:.3f}"
    outlines = outlines_of(annotation)
    shapes = [labelme_shape(label, outline, group, "polygon", description=said) for outline in outlines]
    if not shapes:
        x, y, w, h = annotation["bbox"]
        shapes.append(labelme_shape(label, [[x, y], [x + w, y + h]], group, "rectangle", description=said))
    values = annotation.get("keypoints") or []
    for name, x, y, seen in zip(names, values[::3], values[1::3], values[2::3]):
        if score is None and seen:
            flags = {"occluded": True} if seen == 1 else {}
            shapes.append(labelme_shape(name, [[x, y]], group, "point", flags))
        elif score is not None and seen >= keypoint_thr:
            shapes.append(labelme_shape(name, [[x, y]], group, "point", description=f"score {seen:.3f}"))
    return shapes


def write_labelme_files(pictures: Sequence[Picture], names: KeypointSet, classes: Mapping[Any, str], destination: Path,
                        keypoint_thr: float = 0.3, overwrite: bool = False,
                        read: Sequence[Path] = ()) -> LabelmeExport:
    """Writes one labelme file an image, beside the image, which is hard-linked where that works.

    Args:
        pictures: What to write.
        names: The keypoint set.
        classes: Class names by category id.
        destination: The folder to make; it appears whole or stays as it was.
        keypoint_thr: Keypoints of results with a lower score are left out.
        overwrite: Replace a destination that has contents.
        read: The files it comes from, which must not lie in a destination that is replaced.

    Raises:
        UserError: The destination has contents.
        FaultsError: Images that are missing or broken, or would get the same labelme file.
    """
    check_destination(destination, overwrite, {*read, *(picture.path.parent for picture in pictures)})
    faults, result = [], LabelmeExport()
    stems = Counter(str(picture.name.with_suffix("")) for picture in pictures)
    sources = []
    for picture in progress(pictures, "checking"):
        if stems[str(picture.name.with_suffix(""))] > 1:
            faults.append(Fault(picture.path, f"would share {picture.name.with_suffix('.json')} with another image"))
        if not os.path.isfile(picture.path):
            faults.append(Fault(picture.path, "no such image"))
            continue
        try:
            sources.append(source_of(picture.path, read_header(picture.path)))
        except ImageError as error:
            faults.append(Fault(picture.path, str(error)))
            continue
        if picture.size and (fault := size_fault(sources[-1], picture.size, read[-1] if read else picture.path)):
            faults.append(fault)
    if faults:
        named = f", which {', '.join(map(str, read))} names" if read else ""
        raise FaultsError(fold_faults(faults), f"nothing was written, for these images{named}")
    with new_folder(destination, overwrite) as folder:
        for picture, source in zip(progress(pictures, "writing"), sources):
            image = picture.name.with_name(source.name)
            write_image(source, folder / image)
            shapes = [shape for group, found in enumerate(picture.objects, 1) for shape in
                      shapes_of(found, group, classes[found["category_id"]], names.keypoints, keypoint_thr)]
            write_text(folder / picture.name.with_suffix(".json"),
                       labelme_text(labelme_content(shapes, image.name, source.size)))
            result.images += 1
            result.objects += len(picture.objects)
            result.points += sum(shape["shape_type"] == "point" for shape in shapes)
    return result
