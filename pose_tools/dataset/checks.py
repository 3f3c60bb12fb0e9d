"""What is wrong with a COCO keypoint file: the faults that ruin a training without a word.

Cheap enough to run before every training: no image is opened. Coordinates are image px.
"""
from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Union

from pose_tools.dataset.annotation_checks import annotation_faults
from pose_tools.dataset.findings import Finding
from pose_tools.dataset.folder import files_below
from pose_tools.formats.coco_structure import is_number
from pose_tools.formats.schema import KeypointSet

Entry = Mapping[str, Any]


def _hint(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known) or 'none'}"


def _id_faults(data: Entry, path: Path) -> Iterator[Finding]:
    for part, one in (("images", "image"), ("annotations", "annotation"), ("categories", "category")):
        for entry_id, count in Counter(entry["id"] for entry in data[part]).items():
            if count > 1:
                yield Finding(path, f"{count} {part} have this id; ids must be unique", f"{one} {entry_id}",
                              "duplicate-id")
    images = {image["id"] for image in data["images"]}
    categories = {category["id"] for category in data["categories"]}
    for ann in data["annotations"]:
        for key, known in (("image_id", images), ("category_id", categories)):
            value = ann.get(key)
            if not isinstance(value, (int, str)) or value not in known:
                yield Finding(path, f"{key} {value!r} is not in the file", f"annotation {ann['id']}", "dangling-id",
                              annotation=ann["id"])


def _class_faults(data: Entry, path: Path, names: KeypointSet) -> Iterator[Finding]:
    """Detectors match categories by name: one that differs drops its annotations without a word."""
    found = {category["id"]: str(category.get("name")) for category in data["categories"]}
    for name in names.classes:
        if name not in found.values():
            what = f"has no such category; {_hint(name, list(found.values()))}"
            yield Finding(path, what, f"class {name!r}", "class-name")
    counts = Counter(found.get(a["category_id"]) for a in data["annotations"]
                     if isinstance(a.get("category_id"), (int, str)))
    for name in found.values():
        if name not in names.classes and counts[name]:
            what = f"is no class of the config, but has {counts[name]} annotations"
            yield Finding(path, f"{what}; {_hint(name, names.classes)}", f"category {name!r}", "class-name")


def _difference(found: Sequence[str], wanted: Sequence[str]) -> str:
    if len(found) != len(wanted):
        return f"has {len(found)} keypoints; the config has {len(wanted)}"
    i = next(i for i, pair in enumerate(zip(found, wanted)) if pair[0] != pair[1])
    order = " (the same names in another order)" if sorted(map(str, found)) == sorted(wanted) else ""
    return f"calls keypoint {i + 1} {found[i]!r}; the config has {wanted[i]!r}{order}"


def _category_faults(data: Entry, path: Path, names: KeypointSet | None) -> Iterator[Finding]:
    described = any(category.get("keypoints") for category in data["categories"])
    used = any(ann.get("keypoints") for ann in data["annotations"])
    for category in data["categories"]:
        place = f"category {category.get('name')!r}"
        if names is not None and category.get("name") not in names.classes:
            continue
        listed = category.get("keypoints") or []
        if not listed and used and (described or names is not None):
            yield Finding(path, "names no keypoints, though there are annotations with keypoints", place,
                          "keypoint-names")
        elif listed and names is not None and list(listed) != list(names.keypoints):
            yield Finding(path, _difference(listed, names.keypoints), place, "keypoint-names")
        sigmas = category.get("sigmas")
        if sigmas is not None and len(sigmas) != len(listed):
            yield Finding(path, f"has {len(sigmas)} sigmas for {len(listed)} keypoints", place, "sigmas")
    if names is not None and names.sigmas and len(names.sigmas) != len(names.keypoints):
        what = f"the config has {len(names.sigmas)} sigmas for {len(names.keypoints)} keypoints"
        yield Finding(path, what, "sigmas", "sigmas")


def _image_faults(data: Entry, path: Path, folder: Path | None) -> Iterator[Finding]:
    present = files_below(folder) if folder is not None and folder.is_dir() else None
    if folder is not None and present is None and data["images"]:
        yield Finding(folder, "there is no such folder of images", rule="image-missing")
    for image in data["images"]:
        name, place = image.get("file_name"), f"image {image['id']}"
        if not isinstance(name, str) or not name:
            yield Finding(path, "has no file_name", place, "image-missing", image=image["id"])
            continue
        place = f"{place} ({name})"
        if not all(is_number(image.get(key)) and image[key] > 0 for key in ("width", "height")):
            what = f"its size is {image.get('width')} x {image.get('height')}"
            yield Finding(path, what, place, "image-size", image=image["id"])
        plain = PurePath(os.path.normpath(name)).as_posix()
        if present is not None and plain not in present and not (folder / name).is_file():
            yield Finding(path, f"its file is not in {folder}", place, "image-missing", image=image["id"])


def coco_faults(data: Entry, path: Union[str, Path], keypoint_set: KeypointSet | None = None,
                image_dir: Union[str, Path, None] = None) -> list[Finding]:
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
        All faults, every one of them an error; thousands when a converter went wrong, see
        :func:`pose_tools.dataset.faults.fold_faults`.
    """
    path = Path(path)
    faults = list(_id_faults(data, path))
    if keypoint_set is not None:
        faults += _class_faults(data, path, keypoint_set)
    faults += _category_faults(data, path, keypoint_set)
    faults += _image_faults(data, path, Path(image_dir) if image_dir is not None else None)
    faults += annotation_faults(data, path, keypoint_set)
    return faults
