"""COCO annotations and results, from any tool, as pictures with objects to be written as labelme files."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.dataset.annotation_checks import are_numbers
from pose_tools.dataset.coco_folder import read_sides
from pose_tools.dataset.data_set import folder_of_images
from pose_tools.dataset.faults import fold_faults
from pose_tools.dataset.result_checks import result_faults
from pose_tools.formats.coco import keypoint_set_from_coco, load_coco
from pose_tools.formats.labelme import read_json
from pose_tools.formats.schema import KeypointSet


@dataclass(frozen=True)
class Picture:
    """An image and its objects.

    Attributes:
        path: The file.
        name: Where it goes, relative to the destination.
        objects: COCO annotations, or results with a ``score`` each.
        size: (width, height) in px that a COCO file gives it; ``None`` without one.
    """

    path: Path
    name: PurePosixPath
    objects: list[dict[str, Any]]
    size: tuple[int, int] | None = None


def outlines_of(annotation: Mapping[str, Any]) -> list[list[list[float]]]:
    """The polygons of an annotation whose box is theirs, so that reading them gives the box again."""
    flat = annotation.get("segmentation")
    if not isinstance(flat, list) or not flat or not all(map(_is_polygon, flat)):
        return []
    outlines = [[list(pair) for pair in zip(part[::2], part[1::2])] for part in flat]
    corners = [corner for outline in outlines for corner in outline]
    x, y, w, h = annotation["bbox"]
    left, top = (min(corner[i] for corner in corners) for i in (0, 1))
    right, bottom = (max(corner[i] for corner in corners) for i in (0, 1))
    fits = max(abs(left - x), abs(top - y), abs(right - x - w), abs(bottom - y - h)) <= 0.01
    return outlines if fits else []


def _is_polygon(part: Any) -> bool:
    return isinstance(part, list) and len(part) >= 6 and len(part) % 2 == 0 and are_numbers(part)


def _from_results(path: Path, names: KeypointSet, images: Path | None, box_thr: float) -> list[Picture]:
    """Results that name their image by ``file_name``, as ``pose_tools/predict.py`` writes them."""
    results = read_json(path)
    faults = result_faults(results, path, None, range(1, len(names.classes) + 1), len(names.keypoints))
    faults += [] if faults else [Fault(path, "has no file_name", f"result {i}") for i, result in enumerate(results)
                                 if not isinstance(result.get("file_name"), str) or not Path(result["file_name"]).name]
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
    return [Picture(images / image["file_name"], PurePosixPath(image["file_name"]), by_image[image["id"]],
                    (image["width"], image["height"])) for image in data["images"]]


def _images_of(path: Path) -> Path:
    """Where the images of a COCO file are when nobody says it: see :func:`folder_of_images`, or ``../images``."""
    usual = path.parent / "images"
    if usual.is_dir():
        return usual
    found = folder_of_images(path, load_coco(path))
    return found if found.is_dir() else path.absolute().parent.parent / "images"


def _by_own_ids(results: Any, data: Mapping[str, Any]) -> Any:
    """Gives results the ids of the data set where they name the image, as Ultralytics' do.

    Its ``image_id`` is the file's name without its ending, as a number if it is one; newer versions add ``file_name``.
    """
    ids: dict[Any, set[Any]] = defaultdict(set)
    for image in data["images"]:
        name = PurePosixPath(image["file_name"])
        for key in (name.name, name.stem, *((int(name.stem), ) if name.stem.isdecimal() else ())):
            ids[key].add(image["id"])
    known = {image["id"] for image in data["images"]}

    def own(result: Any) -> Any:
        if not isinstance(result, dict):
            return result
        file_name, image_id = result.get("file_name"), result.get("image_id")
        key = PurePosixPath(file_name).name if isinstance(file_name, str) else image_id
        if not isinstance(key, (int, str)) or (key == image_id and image_id in known) or len(ids[key]) != 1:
            return result
        return {**result, "image_id": next(iter(ids[key]))}

    return list(map(own, results)) if isinstance(results, list) else results


def _checked_names(names: KeypointSet | None, data: Mapping[str, Any], path: Path) -> KeypointSet:
    """The keypoint set of a COCO file; every keypoint must have a name."""
    given, names = names, names or keypoint_set_from_coco(data, path)
    lengths = {len(a["keypoints"]) // 3 for a in data["annotations"] if a.get("keypoints")}
    if odd := sorted(lengths - {len(names.keypoints)}):
        hint = "" if given else "; its categories name none, name them by --meta FILE"
        raise UserError(f"{path}: has annotations with {odd[0]} keypoints; {len(names.keypoints)} have a name{hint}")
    return names


def gather(source: Path, coco: Path | None, names: KeypointSet | None, images: Path | None,
           box_thr: float) -> tuple[list[Picture], KeypointSet, dict[Any, str], list[str]]:
    """Reads annotations or results.

    Args:
        source: A COCO file or a list of COCO results.
        coco: The COCO file whose images the results are of.
        names: Facts of a ``meta.py``, for results that name their images themselves, and for COCO files whose
            categories name no keypoints.
        images: Where the images are; by default ``images/`` beside the COCO file, or near it.
        box_thr: Results with a lower score are left out.

    Returns:
        Pictures, the keypoint set, class names by category id, and notes.

    Raises:
        UserError: Something is missing.
        FaultsError: All faults of the files.
    """
    if source.is_dir():
        raise UserError(f"{source}: is a folder; name one of its COCO files, such as {source / 'train_coco.json'}")
    if not source.is_file():
        raise UserError(f"{source}: no such file")
    if isinstance(read_json(source), list) and coco is None:
        if names is None:
            raise UserError(f"{source}: holds results; say what they are of by --coco FILE or --meta FILE")
        return _from_results(source, names, images, box_thr), names, dict(enumerate(names.classes, 1)), []
    truth, notes = coco or source, []
    images = images or _images_of(truth)
    sides, faults = read_sides({"only": truth}, images, notes)
    data = sides["only"]
    if faults:
        raise FaultsError(fold_faults(faults), "nothing was written; mend these first")
    names = _checked_names(names, data, truth)
    classes = {category["id"]: category["name"] for category in data["categories"]}
    if coco is None:
        return _from_coco(data, _annotations(data, notes), images), names, classes, notes
    results = _by_own_ids(read_json(source), data)
    known = {image["id"] for image in data["images"]}
    if faults := result_faults(results, source, known, classes, len(names.keypoints)):
        raise FaultsError(fold_faults(faults), "nothing was written")
    return _from_coco(data, [r for r in results if r["score"] >= box_thr], images), names, classes, notes


def _annotations(data: Mapping[str, Any], notes: list[str]) -> list[dict[str, Any]]:
    """What labelme files can hold; a ``score`` some tools give an annotation would make it look like a result."""
    kept = [{key: value for key, value in annotation.items() if key != "score"} for annotation in data["annotations"]
            if not annotation.get("iscrowd")]
    if crowds := len(data["annotations"]) - len(kept):
        notes.append(f"left out: {crowds} crowd regions")
    if lost := sum(bool(annotation.get("segmentation")) and not outlines_of(annotation) for annotation in kept):
        notes.append(f"left out: {lost} outlines that are run-length codes or do not touch their box; the boxes stay")
    return kept
