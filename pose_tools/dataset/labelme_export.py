"""COCO annotations or predictions as labelme files, to look at and correct by hand."""
from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pose_tools.console import Fault, FaultsError, UserError, progress
from pose_tools.dataset.checks import result_faults
from pose_tools.dataset.coco_folder import read_sides
from pose_tools.dataset.faults import fold_faults
from pose_tools.dataset.folder import check_destination, new_folder
from pose_tools.formats.coco import keypoint_set_from_coco, write_text
from pose_tools.formats.images import ImageError, read_header, source_of, write_image
from pose_tools.formats.labelme import read_json
from pose_tools.formats.labelme_write import labelme_content, labelme_shape, labelme_text
from pose_tools.formats.schema import KeypointSet


@dataclass(frozen=True)
class Picture:
    """An image and its objects.

    Attributes:
        path: The file.
        name: Where it goes, relative to the destination.
        objects: COCO annotations, or results with a ``score`` each.
    """

    path: Path
    name: PurePosixPath
    objects: list[dict[str, Any]]


@dataclass
class LabelmeExport:
    """What was written.

    Attributes:
        images: Number of images, with or without objects.
        objects: Of them.
        points: Keypoints written.
        notes: What labelme files cannot say and so was left out.
    """

    images: int = 0
    objects: int = 0
    points: int = 0
    notes: list[str] = field(default_factory=list)


def _outlines(annotation: Mapping[str, Any]) -> list[list[list[float]]]:
    """The polygons of an annotation whose box is theirs, so that reading them gives the box again."""
    flat = annotation.get("segmentation")
    if not isinstance(flat, list) or not flat:
        return []
    outlines = [[list(pair) for pair in zip(part[::2], part[1::2])] for part in flat]
    corners = [corner for outline in outlines for corner in outline]
    x, y, w, h = annotation["bbox"]
    left, top = (min(corner[i] for corner in corners) for i in (0, 1))
    right, bottom = (max(corner[i] for corner in corners) for i in (0, 1))
    fits = max(abs(left - x), abs(top - y), abs(right - x - w), abs(bottom - y - h)) <= 0.01
    return outlines if fits and all(len(outline) > 2 for outline in outlines) else []


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
    outlines = _outlines(annotation)
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


def _from_results(path: Path, names: KeypointSet, images: Path | None, box_thr: float) -> list[Picture]:
    """Results that name their image by ``file_name``, as ``pose_tools/predict.py`` writes them."""
    results = read_json(path)
    faults = result_faults(results, path, None, range(1, len(names.classes) + 1), len(names.keypoints))
    faults += [] if faults else [Fault(path, "has no file_name", f"result {i}") for i, result in enumerate(results)
                                 if "file_name" not in result]
    if faults:
        raise FaultsError(fold_faults(faults), "nothing was written")
    by_file: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        found = by_file[result["file_name"]]
        if result["score"] >= box_thr:
            found.append(result)
    return [Picture(images / name if images else Path(name), PurePosixPath(Path(name).name), found)
            for name, found in by_file.items()]


def _from_coco(data: Mapping[str, Any], objects: Sequence[dict[str, Any]], images: Path) -> list[Picture]:
    by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for found in objects:
        by_image[found["image_id"]].append(found)
    return [Picture(images / image["file_name"], PurePosixPath(image["file_name"]), by_image[image["id"]])
            for image in data["images"]]


def gather(source: Path, coco: Path | None, names: KeypointSet | None, images: Path | None,
           box_thr: float) -> tuple[list[Picture], KeypointSet, dict[Any, str], list[str]]:
    """Reads annotations or results.

    Args:
        source: A COCO file or a list of COCO results.
        coco: The COCO file whose images the results are of.
        names: Facts of a ``meta.py``, for results that name their images themselves.
        images: Where the images are; by default ``images/`` beside the COCO file.
        box_thr: Results with a lower score are left out.

    Returns:
        Pictures, the keypoint set, class names by category id, and notes.

    Raises:
        UserError: Something is missing.
        FaultsError: All faults of the files.
    """
    if not source.is_file():
        raise UserError(f"{source}: no such file")
    if isinstance(read_json(source), list) and coco is None:
        if names is None:
            raise UserError(f"{source}: holds results; say what they are of by --coco FILE or --meta FILE")
        return _from_results(source, names, images, box_thr), names, dict(enumerate(names.classes, 1)), []
    truth = coco or source
    images = images or truth.parent / "images"
    sides, faults = read_sides({"only": truth}, images)
    data = sides["only"]
    if faults:
        raise FaultsError(fold_faults(faults), "nothing was written; mend these first")
    names = names or keypoint_set_from_coco(data, truth)
    classes = {category["id"]: category["name"] for category in data["categories"]}
    if coco is None:
        crowds = sum(bool(a.get("iscrowd")) for a in data["annotations"])
        notes = [f"left out: {crowds} crowd regions"] if crowds else []
        return _from_coco(data, [a for a in data["annotations"] if not a.get("iscrowd")], images), names, classes, notes
    results = read_json(source)
    known = {image["id"] for image in data["images"]}
    if faults := result_faults(results, source, known, classes, len(names.keypoints)):
        raise FaultsError(fold_faults(faults), "nothing was written")
    return _from_coco(data, [r for r in results if r["score"] >= box_thr], images), names, classes, []


def write_labelme_files(pictures: Sequence[Picture], names: KeypointSet, classes: Mapping[Any, str], destination: Path,
                        keypoint_thr: float = 0.3, overwrite: bool = False) -> LabelmeExport:
    """Writes one labelme file an image, beside the image, which is hard-linked where that works.

    Args:
        pictures: What to write.
        names: The keypoint set.
        classes: Class names by category id.
        destination: The folder to make; it appears whole or stays as it was.
        keypoint_thr: Keypoints of results with a lower score are left out.
        overwrite: Replace a destination that has contents.

    Raises:
        UserError: The destination has contents.
        FaultsError: Images that are missing or broken, or would get the same labelme file.
    """
    check_destination(destination, overwrite, {picture.path.parent for picture in pictures})
    faults, result = [], LabelmeExport()
    stems = Counter(str(picture.name.with_suffix("")) for picture in pictures)
    sources = []
    for picture in progress(pictures, "checking"):
        if stems[str(picture.name.with_suffix(""))] > 1:
            faults.append(Fault(picture.path, f"would share {picture.name.with_suffix('.json')} with another image"))
        try:
            sources.append(source_of(picture.path, read_header(picture.path)))
        except FileNotFoundError:
            faults.append(Fault(picture.path, "no such image"))
        except ImageError as error:
            faults.append(Fault(picture.path, str(error)))
    if faults:
        raise FaultsError(fold_faults(faults), "nothing was written")
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
