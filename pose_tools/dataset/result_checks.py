"""What is wrong with COCO results: detections, or instances with keypoints."""
from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Union

from pose_tools.console import Fault
from pose_tools.dataset.annotation_checks import is_box
from pose_tools.formats.coco_structure import is_number


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
    if image_ids is not None and not (isinstance(result["image_id"], (int, str)) and result["image_id"] in image_ids):
        return f"image_id {result['image_id']!r} is not in the data set"
    if categories is not None and not (isinstance(result["category_id"], (int, str))
                                       and result["category_id"] in categories):
        return f"category_id {result['category_id']!r} is none of {', '.join(map(str, categories))}"
    if not is_box(result["bbox"]):
        return f"bbox {result['bbox']!r} is not four finite numbers x, y, w, h"
    if not is_number(result["score"]):
        return f"score {result['score']!r} is not a finite number"
    points = result.get("keypoints") or []
    if not isinstance(points, list) or not all(map(is_number, points)) or len(points) % 3:
        return "keypoints is not a list of x, y, score triples"
    if count is not None and points and len(points) != 3 * count:
        return f"has {len(points) // 3} keypoints; expected {count}"
    return ""
