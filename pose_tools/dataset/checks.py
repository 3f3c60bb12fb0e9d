"""What is wrong with a COCO keypoint file: the faults that ruin a training without a word.

Cheap enough to run before every training: no image is opened. Coordinates are image px.
"""
from __future__ import annotations

import difflib
import math
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Union

from pose_tools.console import Fault
from pose_tools.formats.schema import KeypointSet

# A box may reach this share of the image's width or height beyond its border, as boxes of cut-off objects do.
_ROOM = 0.25

Entry = Mapping[str, Any]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_box(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 4 and all(map(_is_number, value))


def _hint(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known) or 'none'}"


def _id_faults(data: Entry, path: Path) -> Iterator[Fault]:
    for part, one in (("images", "image"), ("annotations", "annotation"), ("categories", "category")):
        for entry_id, count in Counter(entry["id"] for entry in data[part]).items():
            if count > 1:
                yield Fault(path, f"{count} {part} have this id; ids must be unique", f"{one} {entry_id}")
    images = {image["id"] for image in data["images"]}
    categories = {category["id"] for category in data["categories"]}
    for ann in data["annotations"]:
        for key, known in (("image_id", images), ("category_id", categories)):
            value = ann.get(key)
            if not isinstance(value, (int, str)) or value not in known:
                yield Fault(path, f"{key} {value!r} is not in the file", f"annotation {ann['id']}")


def _class_faults(data: Entry, path: Path, names: KeypointSet) -> Iterator[Fault]:
    """Detectors match categories by name: one that differs drops its annotations without a word."""
    found = {category["id"]: str(category.get("name")) for category in data["categories"]}
    for name in names.classes:
        if name not in found.values():
            yield Fault(path, f"has no such category; {_hint(name, list(found.values()))}", f"class {name!r}")
    counts = Counter(found.get(a["category_id"]) for a in data["annotations"]
                     if isinstance(a.get("category_id"), (int, str)))
    for name in found.values():
        if name not in names.classes and counts[name]:
            what = f"is no class of the config, but has {counts[name]} annotations"
            yield Fault(path, f"{what}; {_hint(name, names.classes)}", f"category {name!r}")


def _difference(found: Sequence[str], wanted: Sequence[str]) -> str:
    if len(found) != len(wanted):
        return f"has {len(found)} keypoints; the config has {len(wanted)}"
    i = next(i for i, pair in enumerate(zip(found, wanted)) if pair[0] != pair[1])
    order = " (the same names in another order)" if sorted(map(str, found)) == sorted(wanted) else ""
    return f"calls keypoint {i + 1} {found[i]!r}; the config has {wanted[i]!r}{order}"


def _category_faults(data: Entry, path: Path, names: KeypointSet | None) -> Iterator[Fault]:
    described = any(category.get("keypoints") for category in data["categories"])
    used = any(ann.get("keypoints") for ann in data["annotations"])
    for category in data["categories"]:
        place = f"category {category.get('name')!r}"
        if names is not None and category.get("name") not in names.classes:
            continue
        listed = category.get("keypoints") or []
        if not listed and used and (described or names is not None):
            yield Fault(path, "names no keypoints, though there are annotations with keypoints", place)
        elif listed and names is not None and list(listed) != list(names.keypoints):
            yield Fault(path, _difference(listed, names.keypoints), place)
        sigmas = category.get("sigmas")
        if sigmas is not None and len(sigmas) != len(listed):
            yield Fault(path, f"has {len(sigmas)} sigmas for {len(listed)} keypoints", place)
    if names is not None and names.sigmas and len(names.sigmas) != len(names.keypoints):
        what = f"the config has {len(names.sigmas)} sigmas for {len(names.keypoints)} keypoints"
        yield Fault(path, what, "sigmas")


def _image_faults(data: Entry, path: Path, folder: Path | None) -> Iterator[Fault]:
    present = _files_below(folder) if folder is not None and folder.is_dir() else None
    if folder is not None and present is None and data["images"]:
        yield Fault(folder, "there is no such folder of images")
    for image in data["images"]:
        name, place = image.get("file_name"), f"image {image['id']}"
        if not isinstance(name, str) or not name:
            yield Fault(path, "has no file_name", place)
            continue
        place = f"{place} ({name})"
        if not all(_is_number(image.get(key)) and image[key] > 0 for key in ("width", "height")):
            yield Fault(path, f"its size is {image.get('width')} x {image.get('height')}", place)
        if present is not None and os.path.normpath(name) not in present and not (folder / name).is_file():
            yield Fault(path, f"its file is not in {folder}", place)


def _files_below(folder: Path) -> set[str]:
    """Lists all files once, which is faster than asking for each of thousands."""
    return {os.path.normpath(os.path.join(os.path.relpath(top, folder), name))
            for top, _, names in os.walk(folder) for name in names}


def _box_fault(ann: Entry, image: Entry) -> str:
    box = ann.get("bbox")
    if not _is_box(box):
        return f"bbox {box!r} is not four finite numbers x, y, w, h"
    x, y, w, h = box
    if w <= 0 or h <= 0:
        return f"bbox is {w:g} x {h:g} px in size"
    width, height = image.get("width"), image.get("height")
    if not all(_is_number(side) and side > 0 for side in (width, height)):
        return ""
    room_x, room_y = _ROOM * width, _ROOM * height
    outside = x >= width or y >= height or x + w <= 0 or y + h <= 0
    if outside or x < -room_x or y < -room_y or x + w > width + room_x or y + h > height + room_y:
        return f"bbox [{x:g}, {y:g}, {w:g}, {h:g}] lies outside its image of {width:g}x{height:g} px"
    return ""


def _area_fault(ann: Entry) -> str:
    area = ann.get("area")
    if area is None:
        return "area is missing; OKS and COCO's AP need it"
    if not _is_number(area) or area <= 0:
        return f"area is {area!r}; OKS divides by it"
    # Some converters write 1 everywhere, and OKS then calls every prediction wrong.
    large = _is_box(ann.get("bbox")) and ann["bbox"][2] * ann["bbox"][3] > 4
    return "area is 1, a placeholder; expected the object's area in px" if area == 1 and large else ""


def _keypoint_faults(ann: Entry, count: int | None) -> Iterator[str]:
    """Checks the keypoints of an annotation; ``count`` is K, ``None`` when unknown."""
    points = ann.get("keypoints")
    if points is None or (isinstance(points, list) and not points):
        return
    if not isinstance(points, (list, tuple)) or len(points) % 3:
        yield "keypoints is not a list of x, y, v triples"
        return
    if count is not None and len(points) != 3 * count:
        yield f"has {len(points) // 3} keypoints; expected {count}"
    if not all(map(_is_number, points)):
        yield "keypoints holds something that is not a finite number"
        return
    odd = sorted({v for v in points[2::3] if v not in (0, 1, 2)})
    if odd:
        yield f"visibility is {odd[0]!r}; expected 0, 1 or 2"
    labelled = sum(v > 0 for v in points[2::3])
    stated = ann.get("num_keypoints")
    if stated != labelled:
        yield f"num_keypoints is {stated!r}, but {labelled} keypoints are labelled"


def _annotation_faults(data: Entry, path: Path, names: KeypointSet | None) -> Iterator[Fault]:
    images = {image["id"]: image for image in data["images"]}
    counts = {category["id"]: len(category["keypoints"]) for category in data["categories"]
              if isinstance(category.get("keypoints"), list) and category["keypoints"]}
    for ann in data["annotations"]:
        place = f"annotation {ann['id']}"
        image_id, category_id = (ann.get(key) if isinstance(ann.get(key), (int, str)) else None
                                 for key in ("image_id", "category_id"))
        image = images.get(image_id, {})
        count = len(names.keypoints) if names is not None else counts.get(category_id)
        found = [_box_fault(ann, image), _area_fault(ann), *_keypoint_faults(ann, count)]
        name = f" in {image['file_name']}" if isinstance(image.get("file_name"), str) else ""
        yield from (Fault(path, what, place + name) for what in found if what)


def coco_faults(data: Entry, path: Union[str, Path], keypoint_set: KeypointSet | None = None,
                image_dir: Union[str, Path, None] = None) -> list[Fault]:
    """Lists what is wrong with a COCO file before a model is trained on it.

    Looks at: ids unique and not dangling; category names against the classes; keypoint names, order and
    number; sigmas; images' names, sizes and files; boxes finite, of positive size and in their image; area
    there and neither 0 nor a placeholder; visibility 0, 1 or 2; num_keypoints. A file without any keypoints
    is sound, for a detector.

    Args:
        data: What :func:`pose_tools.formats.coco.load_coco` returned.
        path: Named in the faults.
        keypoint_set: What the config expects; ``None`` to check the file against itself only.
        image_dir: Folder that ``file_name`` is relative to; ``None`` to not look for the images.

    Returns:
        All faults; thousands when a converter went wrong, see
        :func:`pose_tools.dataset.faults.fold_faults`.
    """
    path = Path(path)
    faults = list(_id_faults(data, path))
    if keypoint_set is not None:
        faults += _class_faults(data, path, keypoint_set)
    faults += _category_faults(data, path, keypoint_set)
    faults += _image_faults(data, path, Path(image_dir) if image_dir is not None else None)
    faults += _annotation_faults(data, path, keypoint_set)
    return faults


def result_faults(results: Any, path: Union[str, Path], image_ids: Collection[Any] | None = None,
                  categories: Collection[Any] | None = None, count: int | None = None) -> list[Fault]:
    """Lists what is wrong with COCO results: detections, or instances with keypoints.

    Args:
        results: What the JSON file holds.
        path: Named in the faults.
        image_ids: Images the results may be of; ``None`` when they need no ``image_id``.
        categories: Category ids they may have; ``None`` for any.
        count: Number of keypoints, where they have any; ``None`` for any.
    """
    if not isinstance(results, list):
        return [Fault(path, "is not a list of COCO results, as tools/test.py writes it")]
    found = ((number, _result_fault(result, image_ids, categories, count)) for number, result in enumerate(results))
    return [Fault(path, what, f"result {number}") for number, what in found if what]


def _result_fault(result: Any, image_ids: Collection[Any] | None, categories: Collection[Any] | None,
                  count: int | None) -> str:
    needed = (*(("image_id", ) if image_ids is not None else ()), "category_id", "bbox", "score")
    missing = [key for key in needed if not isinstance(result, dict) or key not in result]
    if missing:
        return f"has no {', '.join(missing)}"
    if image_ids is not None and result["image_id"] not in image_ids:
        return f"image_id {result['image_id']!r} is not in the data set"
    if categories is not None and result["category_id"] not in categories:
        return f"category_id {result['category_id']!r} is none of {', '.join(map(str, categories))}"
    if not _is_box(result["bbox"]):
        return f"bbox {result['bbox']!r} is not four finite numbers x, y, w, h"
    if not _is_number(result["score"]):
        return f"score {result['score']!r} is not a finite number"
    points = result.get("keypoints") or []
    if not isinstance(points, list) or not all(map(_is_number, points)) or len(points) % 3:
        return "keypoints is not a list of x, y, score triples"
    if count is not None and points and len(points) != 3 * count:
        return f"has {len(points) // 3} keypoints; expected {count}"
    return ""
