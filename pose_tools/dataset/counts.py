"""The table of what a COCO data set holds, side by side for its splits."""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pose_tools.console import table
from pose_tools.formats.schema import KeypointSet


@dataclass
class Counts:
    """What one split holds.

    Attributes:
        images: Number of images.
        empty: Those without an object.
        bare: Objects without a labelled keypoint.
        classes: Objects by class name.
        labelled: Labelled keypoints (v 1 or 2) by name.
        occluded: Those of them with v 1.
    """

    images: int = 0
    empty: int = 0
    bare: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    labelled: Counter[str] = field(default_factory=Counter)
    occluded: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def count(coco: Mapping[str, Any], names: KeypointSet) -> Counts:
    """Counts a COCO data set whose categories have ``names``' keypoints."""
    found = Counts(len(coco["images"]))
    found.empty = len({image["id"] for image in coco["images"]} - {a["image_id"] for a in coco["annotations"]})
    class_of = {category["id"]: category["name"] for category in coco["categories"]}
    for annotation in coco["annotations"]:
        found.classes[class_of[annotation["category_id"]]] += 1
        seen = dict(zip(names.keypoints, annotation.get("keypoints", ())[2::3]))
        found.labelled.update(name for name, v in seen.items() if v)
        found.occluded.update(name for name, v in seen.items() if v == 1)
        found.bare += not any(seen.values())
    return found


def count_table(splits: Mapping[str, Counts], names: KeypointSet) -> str:
    """Lays out counts: a column a split, one for all of them, and the occluded keypoints.

    Args:
        splits: Counts by the split's name.
        names: Classes and keypoints, in the order of the rows.
    """
    every = sum(splits.values(), Counts())
    sides: Sequence[Counts] = [*splits.values(), *([every] if len(splits) > 1 else [])]
    rows: list[list[object]] = [["images", *(side.images for side in sides), ""]]
    if every.empty:
        rows.append(["  without objects", *(side.empty for side in sides), ""])
    rows += [[f"class {name}", *(side.classes[name] for side in sides), ""] for name in names.classes]
    if every.bare and names.keypoints:
        rows.append(["  without keypoints", *(side.bare for side in sides), ""])
    rows += [[f"keypoint {name}", *(side.labelled[name] for side in sides), every.occluded[name]]
             for name in names.keypoints]
    total = ["both" if len(splits) == 2 else "all"] if len(splits) > 1 else []
    return table(rows, ["", *splits, *total, "occluded"])
