"""One picture an object, its annotation moved along."""
from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pose_tools.console import Fault, FaultsError, UserError, progress
from pose_tools.console.folder import check_destination, new_folder
from pose_tools.dataset.coco_folder import find_coco_files, read_sides
from pose_tools.dataset.faults import fold_faults
from pose_tools.formats.coco import coco_image, save_coco

JPEG_QUALITY = 95


def crop_window(annotation: Mapping[str, Any], size: tuple[int, int], margin: float) -> tuple[int, int, int, int]:
    """Where to cut: the box with room around it and all labelled keypoints, inside the image.

    Args:
        annotation: A COCO annotation.
        size: (width, height) of the image, px.
        margin: Room on each side, as a share of the box's longer side.

    Returns:
        Left, top, right and bottom in whole px, right and bottom excluded.
    """
    x, y, w, h = annotation["bbox"]
    room = margin * max(w, h)
    values = annotation.get("keypoints") or []
    seen = [(values[i], values[i + 1]) for i in range(0, len(values), 3) if values[i + 2]]
    xs, ys = [x - room, x + w + room, *(p[0] for p in seen)], [y - room, y + h + room, *(p[1] for p in seen)]
    # A point on the last pixel needs the whole of it.
    return (max(0, math.floor(min(xs))), max(0, math.floor(min(ys))),
            min(size[0], math.floor(max(xs)) + 1), min(size[1], math.floor(max(ys)) + 1))


def moved(annotation: Mapping[str, Any], left: int, top: int) -> dict[str, Any]:
    """An annotation in the frame of a window whose corner is (left, top) image px.

    Polygons move along; a run-length code, which belongs to the whole image, is dropped, its area kept.
    """
    x, y, w, h = annotation["bbox"]
    values = list(annotation.get("keypoints") or [])
    for i in range(0, len(values), 3):
        if values[i + 2]:
            values[i:i + 2] = values[i] - left, values[i + 1] - top
    outlines = annotation.get("segmentation")
    outlines = outlines if isinstance(outlines, list) else []
    shifted = [[value - (left, top)[i % 2] for i, value in enumerate(outline)] for outline in outlines]
    result = {**annotation, "bbox": [x - left, y - top, w, h], "segmentation": shifted}
    return {**result, "keypoints": values} if values else result


def crop_instances(source: Path, destination: Path, margin: float = 0.25, images: Path | None = None,
                   overwrite: bool = False, notes: list[str] | None = None) -> dict[str, dict[str, Any]]:
    """Cuts every object out of its image.

    Args:
        source: A folder with ``train_coco.json`` and so on and ``images/``, or one COCO file.
        destination: The data set's folder; it appears whole or stays as it was. The picture of annotation 12 in
            ``a/b.jpg`` is ``a/b_12.jpg``, or by its place in the list where ids are not numbers from 1. Crowd
            regions are left out.
        margin: Room on each side, as a share of the box's longer side.
        images: Where the images are, when not in ``images/`` beside the COCO files.
        overwrite: Replace a destination that has contents.
        notes: Gets a line for each kind of thing that was read in another way than it is written.

    Returns:
        The COCO data written, by split.

    Raises:
        UserError: Something is missing, the destination has contents, or the margin is negative.
        FaultsError: All faults of the files, and images that cannot be decoded.
    """
    if not 0 <= margin < math.inf:
        raise UserError(f"--margin {margin:g}: expected a share of the box's longer side, 0 or more")
    files = find_coco_files(source)
    home = source if source.is_dir() else source.parent
    images = images or home / "images"
    check_destination(destination, overwrite, [home, images])
    sides, faults = read_sides(files, images, notes)
    if faults:
        raise FaultsError(fold_faults(faults), "nothing was written; mend these first")
    written: dict[str, dict[str, Any]] = {}
    with new_folder(destination, overwrite) as folder:
        for split, data in sides.items():
            written[split] = _crop_split(data, images, folder, files[split], margin, faults)
            save_coco(folder / f"{split}_coco.json", written[split])
        if faults:
            raise FaultsError(fold_faults(faults), "nothing was written")
    return written


def _write(path: Path, picture: np.ndarray) -> None:
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(path.suffix, picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise UserError(f"{path.name}: OpenCV cannot write {path.suffix} files")
    path.write_bytes(data.tobytes())


def _crop_split(data: Mapping[str, Any], images: Path, folder: Path, file: Path, margin: float,
                faults: list[Fault]) -> dict[str, Any]:
    import cv2

    new_images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    by_image: dict[Any, list[dict[str, Any]]] = {image["id"]: [] for image in data["images"]}
    own_ids = all(type(annotation["id"]) is int and annotation["id"] > 0 for annotation in data["annotations"])
    for number, annotation in enumerate(data["annotations"], 1):
        if not annotation.get("iscrowd"):
            by_image[annotation["image_id"]].append({**annotation, "id": annotation["id"] if own_ids else number})
    for image in progress(data["images"], f"cropping {file.stem}"):
        picture = cv2.imread(str(images / image["file_name"])) if by_image[image["id"]] else None
        if by_image[image["id"]] and (picture is None or picture.shape[1::-1] != (image["width"], image["height"])):
            found = "cannot be decoded" if picture is None else "is {}x{} px".format(*picture.shape[1::-1])
            what = f"{found}; expected {image['width']}x{image['height']} px, by {file.name}"
            faults.append(Fault(images / image["file_name"], what))
            continue
        for annotation in by_image[image["id"]]:
            left, top, right, bottom = crop_window(annotation, (image["width"], image["height"]), margin)
            name = PurePosixPath(image["file_name"])
            name = name.with_name(f"{name.stem}_{annotation['id']}{name.suffix}")
            if (folder / "images" / name).exists():
                what = f"its annotation {annotation['id']} is in two of the files: both would be {name}"
                faults.append(Fault(images / image["file_name"], what))
                continue
            _write(folder / "images" / name, picture[top:bottom, left:right])
            new_images.append(coco_image(annotation["id"], str(name), (right - left, bottom - top)))
            annotations.append({**moved(annotation, left, top), "image_id": annotation["id"]})
    return {"info": {"description": "crop_instances"}, "images": new_images, "annotations": annotations,
            "categories": data["categories"]}
