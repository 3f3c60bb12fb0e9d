"""COCO keypoint files as annotation tools write them, brought to the contract of :mod:`pose_tools.formats.coco`.

Only what has one meaning is changed, and each change is told. What is wrong or may mean two things stays as it is,
for :func:`pose_tools.dataset.checks.coco_faults` to find. Read from the exporters' sources:

* CVAT, "COCO Keypoints 1.0", by its Datumaro: the box is the extent of the points, ``area`` its size; points marked
  *outside* keep their coordinates with v = 0; ``file_name`` leaves out the folder of the subset.
* Label Studio (SDK 1 and 2): ids from 0; one category ``default`` names the keypoints and the classes of rectangles
  name none; keypoints come without ``area`` and ``segmentation``; where none was known, the box is 0 0 0 0.
* mmpose's ``labelstudio2coco.py``: no ``segmentation``; categories without keypoints, so their names are unknown.
* Roboflow: category 0 only groups the others, of which it is the ``supercategory``.
* COCO-Annotator: ``iscrowd`` is a boolean; keypoints without an outline have box 0 0 0 0 and area 0.
* X-AnyLabeling: keypoints may be pairs, (0, 0) where there is none.
* FiftyOne, Supervisely: ``num_keypoints`` is the length of the list; FiftyOne's keypoints may have no box.
"""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pose_tools.formats.coco import is_link
from pose_tools.formats.coco_structure import is_number
from pose_tools.formats.shapes import bounds, polygon_area

Entry = dict[str, Any]

_NUMERAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,2})?")
_BACKGROUND = ("_background_", "__ignore__")


def normalise_coco(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Brings a COCO file of another tool to the contract, as far as what it means is beyond doubt.

    Args:
        data: What :func:`pose_tools.formats.coco.load_coco` returned; it is not changed.

    Returns:
        The contents with boxes, areas and keypoints in image px, and one line for each kind of change.
    """
    notes: list[str] = []
    told: Counter[str] = Counter()
    categories = _categories(data, notes)
    images = [_image(image, told) for image in data["images"]]
    lengths = {c["id"]: len(c["keypoints"]) for c in categories if _is_names(c.get("keypoints"))}
    annotations = [_with_numbers(a, ("bbox", "area", "iscrowd", "keypoints", "num_keypoints"), told, "annotations")
                   for a in data["annotations"]]
    if _are_pairs(annotations, lengths):
        annotations = [_tripled(a, told) for a in annotations]
    length_stated = all(a.get("num_keypoints") == len(a["keypoints"]) // 3 for a in annotations if _triples(a))
    annotations = [_annotation(a, length_stated, told) for a in annotations if not _says_nothing(a, told)]
    notes += [f"{count} {what}" for what, count in told.items() if count]
    return {**data, "categories": categories, "images": images, "annotations": annotations}, notes


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def number_of(value: Any) -> Any:
    """A number written as text; anything else as it is."""
    if not isinstance(value, str) or len(value) > 40 or not _NUMERAL.fullmatch(value.strip()):
        return value
    number = float(value)
    return int(number) if number.is_integer() else number


def _with_numbers(entry: Mapping[str, Any], keys: Sequence[str], told: Counter[str], what: str) -> Entry:
    new = dict(entry)
    for key in keys:
        value = new.get(key)
        if isinstance(value, list) and any(isinstance(item, str) for item in value):
            new[key] = [number_of(item) for item in value]
        elif isinstance(value, str):
            new[key] = number_of(value)
    told[f"{what} have numbers written as text, read as numbers"] += new != entry
    return new


def _image(image: Mapping[str, Any], told: Counter[str]) -> Entry:
    new = _with_numbers(image, ("width", "height"), told, "images")
    sides = {key: int(new[key]) for key in ("width", "height") if isinstance(new.get(key), float)
             and new[key].is_integer()}
    return {**new, **sides}


def _categories(data: Mapping[str, Any], notes: list[str]) -> list[Entry]:
    """Leaves out entries that only group others, and gives all the same keypoints where one list is known."""
    used = Counter(a["category_id"] for a in data["annotations"] if isinstance(a.get("category_id"), (int, str)))
    parents = {c["supercategory"] for c in data["categories"]
               if isinstance(c.get("supercategory"), str) and c["supercategory"] != c.get("name")}
    kept, groups, filled = [], [], []
    for category in data["categories"]:
        name = category.get("name")
        if isinstance(name, str) and (name in parents or name in _BACKGROUND) and not used[category["id"]] \
                and not category.get("keypoints"):
            groups.append(name)
        else:
            kept.append(_counted_from_one(category, notes))
    if groups and kept:
        notes.append(f"category {_listed(groups)} only groups others and has no annotation: left out")
    elif groups:
        return [dict(category) for category in data["categories"]]
    described = [c for c in kept if _is_names(c.get("keypoints"))]
    if not described or any(c["keypoints"] != described[0]["keypoints"] for c in described):
        return kept
    shared = {key: described[0][key] for key in ("keypoints", "skeleton", "sigmas", "swap") if key in described[0]}
    for i, category in enumerate(kept):
        if category.get("keypoints") in (None, []):
            kept[i] = {**category, **shared}
            filled.append(category.get("name"))
    if filled:
        notes.append(f"category {_listed(filled)} names no keypoints: takes those of {described[0].get('name')!r}")
    return kept


def _listed(names: Sequence[Any]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more


def counts_from_zero(category: Mapping[str, Any]) -> bool:
    """Whether a category's links are sound, but for counting from 0 where COCO counts from 1: 0 occurs, K does not."""
    links, names = category.get("skeleton"), category.get("keypoints")
    if not isinstance(links, list) or not _is_names(names):
        return False
    return any(isinstance(link, (list, tuple)) and 0 in link for link in links) \
        and all(is_link(_one_more(link), len(names)) for link in links)


def _one_more(link: Any) -> Any:
    whole = isinstance(link, (list, tuple)) and all(type(end) is int for end in link)
    return [end + 1 for end in link] if whole else None


def count_from_one(category: Mapping[str, Any]) -> Entry:
    """The category with links that count from 1; for one whose links :func:`counts_from_zero`."""
    return {**category, "skeleton": [_one_more(link) for link in category["skeleton"]]}


def _counted_from_one(category: Mapping[str, Any], notes: list[str]) -> Entry:
    if not counts_from_zero(category):
        return dict(category)
    notes.append(f"category {category.get('name')!r}: its skeleton counts from 0, read as such")
    return count_from_one(category)


def _triples(annotation: Mapping[str, Any]) -> list[tuple[Any, Any, Any]]:
    """The keypoints as triples; none when they are not a list of them, or not numbers."""
    values = annotation.get("keypoints")
    if not isinstance(values, list) or len(values) % 3 or not all(map(is_number, values)):
        return []
    return list(zip(values[::3], values[1::3], values[2::3]))


def _are_pairs(annotations: Sequence[Mapping[str, Any]], lengths: Mapping[Any, int]) -> bool:
    """Whether all keypoints of a file are x, y without v, and num_keypoints agrees with that."""
    found = False
    for annotation in annotations:
        values, category = annotation.get("keypoints"), annotation.get("category_id")
        if values in (None, []):
            continue
        count = lengths.get(category) if isinstance(category, (int, str)) else None
        if count is None or not isinstance(values, list) or len(values) != 2 * count \
                or not all(map(is_number, values)):
            return False
        labelled = sum(pair != (0, 0) for pair in zip(values[::2], values[1::2]))
        if annotation.get("num_keypoints", labelled) != labelled:
            return False
        found = True
    return found


def _tripled(annotation: Entry, told: Counter[str]) -> Entry:
    values = annotation.get("keypoints")
    if not values:
        return annotation
    told["annotations have keypoints of x and y alone: v = 2, or 0 at (0, 0)"] += 1
    triples = [(x, y, 2 if (x, y) != (0, 0) else 0) for x, y in zip(values[::2], values[1::2])]
    return {**annotation, "keypoints": [value for triple in triples for value in triple]}


def _no_box(annotation: Mapping[str, Any]) -> bool:
    box = annotation.get("bbox")
    return box is None or box in ([], [0, 0, 0, 0])


def outlines(annotation: Mapping[str, Any]) -> list[list[tuple[float, float]]]:
    """Corners of an annotation's polygons, image px; none when it has none, or one that is unsound."""
    parts = annotation.get("segmentation")
    if not isinstance(parts, list):
        return []
    sound = [part for part in parts if isinstance(part, list) and len(part) >= 6 and len(part) % 2 == 0
             and all(map(is_number, part))]
    return [list(zip(part[::2], part[1::2])) for part in sound] if len(sound) == len(parts) else []


def _says_nothing(annotation: Mapping[str, Any], told: Counter[str]) -> bool:
    values = annotation.get("keypoints")
    unlabelled = values in (None, []) or (bool(triples := _triples(annotation)) and not any(t[2] for t in triples))
    nothing = _no_box(annotation) and unlabelled and annotation.get("segmentation") in (None, [], [[]])
    told["annotations have neither a box nor an outline nor a labelled keypoint: left out"] += nothing
    return nothing


def _annotation(annotation: Entry, length_stated: bool, told: Counter[str]) -> Entry:
    new = dict(annotation)
    if new.get("segmentation") in (None, [[]]):
        new["segmentation"] = []
    if new.get("iscrowd") is None or isinstance(new["iscrowd"], bool):
        new["iscrowd"] = int(bool(new.get("iscrowd")))
    if triples := _triples(new):
        _complete_keypoints(new, triples, length_stated, told)
    _complete_box(new, told)
    return new


def _complete_keypoints(new: Entry, triples: Sequence[tuple[Any, Any, Any]], length_stated: bool,
                        told: Counter[str]) -> None:
    labelled = sum(v > 0 for _, _, v in triples)
    if any(v == 0 and (x, y) != (0, 0) for x, y, v in triples):
        told["annotations have coordinates where v = 0 (CVAT: outside): not labelled"] += 1
        new["keypoints"] = [value for x, y, v in triples for value in ((x, y, v) if v else (0, 0, 0))]
    stated = new.get("num_keypoints")
    if stated is None or (length_stated and stated != labelled):
        told["annotations without a num_keypoints that counts the labelled ones: counted"] += 1
        new["num_keypoints"] = labelled


def _complete_box(new: Entry, told: Counter[str]) -> None:
    found = outlines(new)
    derived = _no_box(new)
    if derived:
        points = [corner for outline in found for corner in outline]
        source = "outline" if points else "labelled keypoints, closer than a detector should learn"
        points = points or [(x, y) for x, y, v in _triples(new) if v > 0]
        left, top, right, bottom = bounds(points) if points else (0, 0, 0, 0)
        if right <= left or bottom <= top:
            return
        new["bbox"] = [left, top, right - left, bottom - top]
        told[f"annotations have no box: taken around their {source}"] += 1
    box = new.get("bbox")
    missing = new.get("area") is None or (derived and new["area"] == 0)
    if not missing or isinstance(new["segmentation"], dict) or not isinstance(box, list) or len(box) != 4 \
            or not all(map(is_number, box)):
        return
    new["area"] = float(sum(map(polygon_area, found)) if found else box[2] * box[3])
    told["annotations have no area: taken from their outline, or else their box"] += 1
