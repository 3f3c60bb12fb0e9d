"""COCO keypoint files: reading, writing, and building their entries.

The contract all of this project keeps: ids from 1; ``bbox`` is [x, y, w, h] in image px; ``area`` is the
area of the segmentation where there is one, else w * h; ``keypoints`` is [x, y, v] * K with v 0 not
labelled (then x and y are 0 as well), 1 occluded, 2 visible; ``iscrowd`` and ``segmentation`` are always
there. Categories carry ``keypoints``, ``skeleton`` (pairs of 1-based indices, as COCO has it) and, which
is our own, ``sigmas`` (K numbers) and ``swap`` (pairs of keypoint names that trade places on mirroring).
"""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Union

from pose_tools.console import Fault, FaultsError, UserError
from pose_tools.console.atomic import write_whole
from pose_tools.formats.coco_structure import structure_faults
from pose_tools.formats.labelme import read_json
from pose_tools.formats.schema import KeypointSet

Coco = dict[str, Any]


def load_coco(path: Union[str, Path]) -> Coco:
    """Reads a COCO annotation file.

    Args:
        path: A JSON file.

    Returns:
        Its contents, of which :func:`pose_tools.formats.coco_structure.structure_faults` says what can be relied on.

    Raises:
        UserError: There is no such file.
        FaultsError: It is empty, truncated, not JSON, or not COCO; every part that is missing is named.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    data = read_json(path)
    if faults := structure_faults(data, path):
        raise FaultsError(faults)
    return data


def save_coco(path: Union[str, Path], data: Mapping[str, Any]) -> None:
    """Writes a COCO file in one step: a reader sees the old file or the whole new one.

    Args:
        path: Where to write; its folder is made.
        data: What to write.

    Raises:
        ValueError: It holds NaN or infinity, which JSON has no word for. Nothing is written.
    """
    write_whole(Path(path), encode_coco(data))


def encode_coco(data: Mapping[str, Any]) -> bytes:
    """The bytes :func:`save_coco` writes.

    Raises:
        ValueError: It holds NaN or infinity, or, as a UnicodeEncodeError, half of a surrogate pair.
    """
    return (json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def write_text(path: Union[str, Path], text: str) -> None:
    """Writes a UTF-8 text file in one step, through a temporary file beside it."""
    write_whole(Path(path), text.encode("utf-8"))


def coco_categories(names: KeypointSet) -> list[dict[str, Any]]:
    """Builds the categories: one a class, ids from 1, each with all keypoints and what else is known.

    Args:
        names: The keypoint set; links, sigmas and swaps are written where it has them.
    """
    shared: dict[str, Any] = {}
    if names.keypoints:
        shared["keypoints"] = list(names.keypoints)
        shared["skeleton"] = [[a + 1, b + 1] for a, b in names.skeleton]
    if names.sigmas:
        shared["sigmas"] = list(names.sigmas)
    if names.swaps:
        shared["swap"] = [list(pair) for pair in names.swaps]
    return [{"id": i, "name": name, "supercategory": name, **shared}
            for i, name in enumerate(names.classes, 1)]


def coco_image(image_id: int, file_name: str, size: tuple[int, int]) -> dict[str, Any]:
    """Builds an image entry.

    Args:
        image_id: From 1.
        file_name: Relative to ``images/``, with forward slashes.
        size: (width, height) in px, after EXIF orientation.
    """
    return {"id": image_id, "file_name": file_name, "width": size[0], "height": size[1]}


def coco_annotation(annotation_id: int, image_id: int, category_id: int,
                    box: tuple[float, float, float, float], keypoints: Sequence[Sequence[float]],
                    segmentation: Union[list[list[float]], dict[str, Any]] = (),
                    area: float = 0.0) -> dict[str, Any]:
    """Builds an annotation that keeps the contract.

    Args:
        annotation_id: From 1.
        image_id: The image it is on.
        category_id: Its class.
        box: Left, top, right and bottom in image px.
        keypoints: K triples of x, y (image px) and visibility 0, 1 or 2.
        segmentation: Polygons as flat lists, or a run-length code; empty when there is none.
        area: Area of the segmentation in px²; without one, that of the box is taken.
    """
    left, top, right, bottom = map(float, box)
    triples = [(float(x), float(y), int(v)) if v else (0.0, 0.0, 0) for x, y, v in keypoints]
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": [left, top, right - left, bottom - top],
        "area": float(area) if segmentation else (right - left) * (bottom - top),
        "iscrowd": 0,
        "segmentation": segmentation or [],
        "keypoints": [value for triple in triples for value in triple],
        "num_keypoints": sum(v > 0 for _, _, v in triples),
    }


def is_link(pair: Any, count: int) -> bool:
    """Whether a skeleton entry joins two different keypoints out of ``count``, by 1-based index."""
    return isinstance(pair, (list, tuple)) and len(pair) == 2 and pair[0] != pair[1] \
        and all(isinstance(i, int) and 1 <= i <= count for i in pair)


def keypoint_set_from_coco(data: Mapping[str, Any], path: Union[str, Path]) -> KeypointSet:
    """Reads the facts about a keypoint set out of a COCO file's categories.

    Args:
        data: What :func:`load_coco` returned.
        path: Named in the errors.

    Returns:
        Classes in the order of their ids; keypoints, links, swaps and sigmas as far as they are given.
        Links to keypoints that do not exist are left out: many files count from 0, and they are only drawn.

    Raises:
        FaultsError: Categories differ in their keypoints, or what they say contradicts itself.
    """
    categories = sorted(data["categories"], key=lambda c: c["id"] if isinstance(c["id"], int) else 0)
    faults = [Fault(path, "has no name", f"category {c['id']}") for c in categories
              if not isinstance(c.get("name"), str)]
    described = [c for c in categories if c.get("keypoints")]
    for c in described[1:]:
        if c["keypoints"] != described[0]["keypoints"]:
            what = f"has other keypoints than {described[0].get('name')!r}"
            faults.append(Fault(path, what, f"category {c.get('name')!r}"))
    if faults:
        raise FaultsError(faults)
    facts = described[0] if described else {}
    names = facts.get("keypoints", [])
    pairs = [pair for pair in facts.get("skeleton") or [] if is_link(pair, len(names))]
    found = KeypointSet(
        classes=tuple(c["name"] for c in categories),
        keypoints=tuple(names),
        swaps=tuple(tuple(pair) for pair in facts.get("swap") or ()),  # type: ignore[misc]
        links=tuple((names[a - 1], names[b - 1]) for a, b in pairs),
        sigmas=tuple(facts.get("sigmas") or ()))
    # A file of boxes alone is sound.
    faults += [f for f in found.faults(path) if (f.where, f.what) != ("keypoints", "is empty")]
    if faults:
        raise FaultsError(faults)
    return found
