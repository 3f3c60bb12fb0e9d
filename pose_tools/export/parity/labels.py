"""The annotations by which a model can be measured: of a COCO file, and of rendered cars."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from pose_tools.dataset.annotation_checks import is_box
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image
from pose_tools.formats.coco_structure import is_number
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.runtime.facts import ModelFacts


def labelled_for(data: Mapping[str, Any], facts: ModelFacts) -> tuple[dict[Any, list[dict[str, Any]]], str]:
    """Takes those annotations of a COCO file by which a model can be measured; unsound ones are left out.

    Args:
        data: Contents of the file.
        facts: About the model. A keypoint model is measured by categories with exactly its keypoints.

    Returns:
        Annotations by image id, with everything COCO's evaluation reads; and why there are none, or ``""``.
    """
    names = facts.keypoint_set.keypoints if facts.task == "pose" and facts.keypoint_set else ()
    known = {category["id"] for category in data["categories"] if category.get("name") in facts.classes
             and (not names or tuple(category.get("keypoints") or ()) == names)}
    if not known:
        has = ", ".join(str(category.get("name")) for category in data["categories"]) or "nothing"
        what = f"{', '.join(facts.classes)}{' with the keypoints ' + ', '.join(names) if names else ''}"
        return {}, f"is of {has}, and the model of {what}"
    images = {image["id"] for image in data["images"]}
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for annotation in data["annotations"]:
        if annotation.get("category_id") in known and annotation.get("image_id") in images:
            entry = _sound(annotation, len(names))
            if entry is not None:
                found[entry["image_id"]].append(entry)
    return dict(found), "" if found else f"labels no {' or '.join(facts.classes)} that can be used"


def _sound(annotation: Mapping[str, Any], count: int) -> Optional[dict[str, Any]]:
    """An annotation with all that COCO's evaluation reads; None where box or keypoints are none."""
    box = annotation.get("bbox")
    if not is_box(box) or min(box[2:]) <= 0:
        return None
    entry = {**annotation, "iscrowd": 1 if annotation.get("iscrowd") else 0}
    if not is_number(entry.get("area")) or entry["area"] <= 0:
        entry["area"] = float(box[2] * box[3])
    if count:
        values = annotation.get("keypoints")
        if not isinstance(values, list) or len(values) != 3 * count or not all(map(is_number, values)):
            return None
        entry["num_keypoints"] = sum(v > 0 for v in values[2::3])
        return entry if entry["num_keypoints"] else None
    return entry


def coco_of_scenes(scenes: Sequence[Any]) -> dict[str, Any]:
    """Gives the contents of a COCO file for rendered pictures.

    Args:
        scenes: What :func:`pose_tools.dataset.demo.scene.render_scene` gave, whose visibilities are COCO's.
    """
    from pose_tools.dataset.demo.cars import KEYPOINTS
    from pose_tools.dataset.demo.scene import NOT_IN_PICTURE

    images, annotations = [], []
    for i, scene in enumerate(scenes, 1):
        images.append(coco_image(i, f"rendered_{i:04d}.jpg", scene.image.shape[1::-1]))
        for car in scene.cars:
            points = [(x, y, 0 if v == NOT_IN_PICTURE else int(v)) for (x, y), v in zip(car.keypoints, car.visibility)]
            annotations.append(coco_annotation(len(annotations) + 1, i, 1, tuple(car.box), points))
    return {"images": images, "annotations": annotations,
            "categories": coco_categories(KeypointSet(("car", ), KEYPOINTS))}
