"""Whether a COCO file is built so that it can be read at all: types, and texts that are texts."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any, Union

from pose_tools.console import Fault

# Nothing is that large, and products and sums of such numbers are still finite.
_LARGEST = 1e100
# Linux, macOS and Windows all refuse longer ones; in bytes, of each part of a path.
_LONGEST_NAME = 255


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number to calculate with; 1e308 and the whole number 10 ** 400 are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _LARGEST


def is_text(value: Any) -> bool:
    """Whether a JSON value is a string that can be printed and written: no half of a surrogate pair."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


def file_name_fault(name: str) -> str:
    """Why no file can have a name; empty when one can."""
    if not is_text(name) or "\0" in name:
        return f"file_name {name[:60]!r} holds characters that no file's name can have"
    if any(len(part.encode()) > _LONGEST_NAME for part in PureWindowsPath(name).parts):
        return f"file_name {name[:60]!r}... is too long for a file's name"
    return ""


def structure_faults(data: Any, path: Union[str, Path]) -> list[Fault]:
    """Lists what keeps a COCO file from being read, so that everything after can rely on it.

    Args:
        data: What the JSON file holds.
        path: Named in the faults.

    Returns:
        Empty when ``images``, ``annotations`` and ``categories`` are lists of objects with an ``id``, each a number or
        a text; and names, links, swaps and sigmas of the categories, where they have any, are lists of the right kind.
    """
    if not isinstance(data, dict):
        kind = "a list, as COCO results are" if isinstance(data, list) else f"a {type(data).__name__}"
        return [Fault(path, f"is not a COCO annotation file: it holds {kind}")]
    faults = []
    for part in ("images", "annotations", "categories"):
        entries = data.get(part)
        if not isinstance(entries, list):
            faults.append(Fault(path, f"is not a COCO annotation file: it has no list of {part}"))
            continue
        faults += [Fault(path, "is not an object with an id", f"{part}[{i}]") for i, entry in enumerate(entries)
                   if not isinstance(entry, dict) or not (type(entry.get("id")) is int or is_text(entry.get("id")))]
    if faults:
        return faults
    faults = [Fault(path, what, f"category {category['id']}") for category in data["categories"]
              for what in _category_faults(category)]
    return faults + [Fault(path, what, f"image {image['id']}") for image in data["images"]
                     if isinstance(image.get("file_name"), str) and (what := file_name_fault(image["file_name"]))]


def _category_faults(category: Mapping[str, Any]) -> Iterator[str]:
    name = category.get("name")
    if name is not None and (not is_text(name) or not name.strip()):
        yield f"its name {str(name)[:60]!r} is not a text"
    lists = {key: category.get(key) if category.get(key) is not None else [] for key in
             ("keypoints", "skeleton", "swap", "sigmas")}
    for key, value in lists.items():
        if not isinstance(value, list):
            yield f"{key} is not a list: {str(value)[:60]}"
            lists[key] = []
    for item in lists["keypoints"]:
        if not is_text(item) or not item.strip():
            yield f"keypoint {str(item)[:60]!r} is not a text"
    for pair in lists["swap"]:
        if not isinstance(pair, list) or len(pair) != 2 or not all(map(is_text, pair)):
            yield f"swap {str(pair)[:60]} is not a pair of names"
    for sigma in lists["sigmas"]:
        if not is_number(sigma):
            yield f"sigma {str(sigma)[:60]} is not a finite number"
