"""What silently ruins a training, looked for before the first step."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from mmengine import Config

from pose_tools.console import Fault, FaultsError
from pose_tools.dataset.checks import coco_faults
from pose_tools.dataset.faults import fold_faults
from pose_tools.dataset.mirroring import mirrored_poses_occur
from pose_tools.formats.coco import load_coco
from pose_tools.formats.schema import KeypointSet
from pose_tools.openmmlab.config import annotation_file, image_folder, keypoint_set_of, kind_of


@dataclass(frozen=True)
class Counts:
    """What a split holds.

    Attributes:
        images: All of them.
        instances: Those with at least one labelled keypoint.
        mirror_in_vain: No labelled object looks like a mirrored one, no keypoints change places, and yet the
            config mirrors.
    """

    images: int
    instances: int
    mirror_in_vain: bool = False


def _count(data: dict[str, Any], names: Optional[KeypointSet]) -> Counts:
    labelled = sum(1 for ann in data["annotations"]
                   if not ann.get("iscrowd") and any(v > 0 for v in ann.get("keypoints", ())[2::3]))
    asked = names is not None and names.mirror and not names.swaps
    return Counts(len(data["images"]), labelled, asked and not mirrored_poses_occur(data, names))


def _split_faults(cfg: Config, dataset: dict[str, Any], found: dict[Path, Counts]) -> list[Fault]:
    path = annotation_file(dataset)
    if path in found:
        return []
    if not path.is_file():
        return [Fault(path, "no such file; make it with: python pose_tools/labelme2coco.py YOUR_LABELME_FOLDER "
                            f"{path.parent}")]
    try:
        data = load_coco(path)
    except FaultsError as error:
        return list(error.faults)
    keypoint_set = keypoint_set_of(cfg)
    faults = coco_faults(data, path, keypoint_set=keypoint_set, image_dir=image_folder(dataset))
    if not faults:
        # A detector's boxes may be mirrored whatever the object is.
        found[path] = _count(data, keypoint_set if kind_of(cfg) == "pose" else None)
        if kind_of(cfg) == "pose" and not found[path].instances:
            faults.append(Fault(path, "no instance has a labelled keypoint, so there is nothing to learn from"))
    return faults


def check_before_run(cfg: Config, splits: Sequence[str] = ("train", "val")) -> dict[str, Counts]:
    """Checks the annotation files a run will read against the config and the images.

    Args:
        cfg: A loaded config.
        splits: Which of ``train``, ``val`` and ``test`` the run reads.

    Returns:
        What each split holds; a split without a plain COCO file (a dataset wrapper, say) is left out.

    Raises:
        FaultsError: Everything found, in all files.
        UserError: A file is missing or is no COCO file.
    """
    found: dict[Path, Counts] = {}
    counts: dict[str, Counts] = {}
    faults: list[Fault] = []
    for split in splits:
        dataset = (cfg.get(f"{split}_dataloader") or {}).get("dataset", {})
        if "ann_file" not in dataset:
            continue
        faults += _split_faults(cfg, dataset, found)
        if annotation_file(dataset) in found:
            counts[split] = found[annotation_file(dataset)]
    if faults:
        raise FaultsError(fold_faults(faults), "nothing was trained; mend these first")
    return counts
