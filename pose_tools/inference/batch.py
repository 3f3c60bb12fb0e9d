"""Predicting a list of images into a folder."""
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_tools.console import Fault, UserError, progress

if TYPE_CHECKING:
    from pose_tools.inference.topdown import Instances, TopDown

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


@dataclass
class Summary:
    """What was done: images predicted, instances found in them, images that could not be read."""

    images: int = 0
    instances: int = 0
    faults: list[Fault] = field(default_factory=list)


def find_images(inputs: Sequence[Path]) -> list[Path]:
    """Lists images, those of folders sorted by name.

    Raises:
        UserError: An input does not exist, or there is no image at all.
    """
    found: list[Path] = []
    for path in inputs:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        elif path.is_file():
            found.append(path)
        else:
            raise UserError(f"{path}: no such file or folder")
    if not found:
        raise UserError(f"no image in {', '.join(map(str, inputs))} ({' '.join(IMAGE_SUFFIXES)})")
    return found


def to_coco_results(found: Instances, image: str) -> list[dict[str, Any]]:
    """One COCO result an instance: ``bbox`` xywh, ``keypoints`` [x, y, raw score] * K, image px.

    Args:
        found: Of one image.
        image: Its file name, given as ``file_name``, since images outside a dataset have no id.
    """
    results = []
    for box, score, label, points, scores in zip(
            found.boxes, found.box_scores, found.labels, found.keypoints, found.keypoint_scores):
        x0, y0, x1, y1 = (round(float(v), 3) for v in box)
        flat = [round(float(v), 4) for (x, y), s in zip(points, scores) for v in (x, y, s)]
        results.append({
            "file_name": image, "category_id": int(label) + 1, "bbox": [x0, y0, x1 - x0, y1 - y0],
            "score": round(float(score), 4), "keypoints": flat,
        })
    return results


def _target(image: Path, out: Path, taken: set[Path]) -> Path:
    """A file under ``out`` for a drawn image; images of the same name in several folders stay apart."""
    target, number = out / f"{image.stem}.jpg", 1
    while target in taken:
        number += 1
        target = out / f"{image.stem}-{number}.jpg"
    taken.add(target)
    return target


def predict_images(model: TopDown, images: Sequence[Path], out: Path, kpt_thr: float, sheet: bool) -> Summary:
    """Predicts images; a faulty one does not stop the others.

    Args:
        model: Detector and keypoint model.
        images: Files.
        out: Folder for drawn images, ``predictions.json`` and, if ``sheet``, ``contact_sheet.jpg``.
        kpt_thr: Least raw score of a drawn keypoint.
        sheet: Whether to draw all images into one.
    """
    from pose_tools.formats.coco import write_text
    from pose_tools.report.draw import contact_sheet, draw_instances, imread, imwrite

    summary, results, drawn, taken = Summary(), [], [], set()
    out.mkdir(parents=True, exist_ok=True)
    for path in progress(images, "predicting"):
        try:
            image = imread(path)
        except UserError as error:
            summary.faults.append(Fault(path, str(error).split(": ", 1)[-1]))
            continue
        found = model(image)
        picture = draw_instances(
            image, found.boxes, found.keypoints, found.keypoint_scores, model.keypoint_set,
            kpt_thr=kpt_thr, box_scores=found.box_scores)
        imwrite(_target(path, out, taken), picture)
        results += to_coco_results(found, str(path))
        summary.images += 1
        summary.instances += len(found.boxes)
        if sheet:
            drawn.append(picture)
    write_text(out / "predictions.json", json.dumps(results, indent=1) + "\n")
    if drawn:
        imwrite(out / "contact_sheet.jpg", contact_sheet(drawn, columns=min(4, len(drawn)), cell_width=480))
    return summary
