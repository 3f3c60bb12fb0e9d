"""Scores that belong to a checkpoint: those of its run, and those of a later test."""
from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from pose_tools.console import UserError
from pose_tools.weights.release.machine_paths import without_machine_paths

OWN = "these weights"
KEYS = ("metrics", "metrics_of", "metrics_on", "metrics_boxes", "keypoint_metrics")
GROUND_TRUTH, DETECTED, ITS_OWN = "ground truth", "a detector's", "its own"


def metrics_in_checkpoint(checkpoint: dict[str, Any], source: Path,
                          config: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
    """Finds validation scores in a checkpoint of mmengine.

    Args:
        checkpoint: What was read; its ``message_hub`` holds the run's log.
        source: The file, whose name tells whether it was saved as the best.
        config: Values of its config, which says on what it was validated.

    Returns:
        ``metrics``: the newest validation scores by name, and ``metrics_of``: what they are scores of. A
        checkpoint is saved before its epoch is validated, except the best ones, so the newest scores are
        those of an earlier one. With ``config``, also ``metrics_on``: the annotation file, and
        ``metrics_boxes``: whose boxes. Empty where there are none; those of a published file are kept.
    """
    meta = checkpoint.get("meta")
    if isinstance(meta, dict) and isinstance(meta.get("metrics"), dict):
        return normal_metrics(meta)
    hub = checkpoint.get("message_hub")
    logs = hub.get("log_scalars") if isinstance(hub, dict) else None
    if not isinstance(logs, dict):
        return {}
    scores = {}
    for name, history in logs.items():
        if str(name).startswith("val/") and name not in ("val/time", "val/data_time"):
            values = getattr(history, "data", ((), ()))[0]
            if len(values):
                scores[str(name)[4:]] = float(values[-1])
    if not scores:
        return {}
    info = hub.get("runtime_info") or {}
    best = [re.split(r"[\\/]", str(path))[-1] for key, path in info.items() if key.startswith("best_ckpt")]
    of = OWN if source.name in best else "the last validation before these weights were saved"
    return {"metrics": scores, "metrics_of": of, **_validated_on(config or {})}


def _validated_on(config: Mapping[str, Any]) -> dict[str, Any]:
    loader = config.get("val_dataloader")
    dataset = loader.get("dataset") if isinstance(loader, dict) else None
    if not isinstance(dataset, dict) or not isinstance(dataset.get("ann_file"), str):
        return {}
    if config.get("default_scope") != "mmpose":
        boxes = ITS_OWN
    else:
        boxes = DETECTED if dataset.get("bbox_file") else GROUND_TRUTH
    return {"metrics_on": posixpath.join(str(dataset.get("data_root") or ""), dataset["ann_file"]),
            "metrics_boxes": boxes}


def metrics_in_file(path: str | Path, source: Optional[Path] = None) -> dict[str, Any]:
    """Reads scores of a test.

    Args:
        path: A JSON file that holds an object: ``metrics.json`` of ``tools/test.py``, or named scores.
        source: The checkpoint they are given for.

    Returns:
        Those of :data:`KEYS` that it tells; scores of ``tools/test.py`` are scores of the file that was tested.

    Raises:
        UserError: It is missing, not JSON, or not an object.
    """
    path = Path(path)
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not JSON: {error}") from error
    if not isinstance(scores, dict):
        raise UserError(f"{path}: holds a {type(scores).__name__}, not an object of named scores")
    found = normal_metrics({"metrics": scores, "metrics_of": OWN})
    tested = re.split(r"[\\/]", str(scores.get("checkpoint") or ""))[-1]
    if tested and "metrics_on" in found and source is not None and tested != source.name:
        found["metrics_of"] = tested
    return found


def normal_metrics(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Takes what a published file's meta says of scores; older files hold the whole report of a test as them.

    Args:
        meta: Has ``metrics``, and perhaps the others of :data:`KEYS`.

    Returns:
        Those of :data:`KEYS` that there are, without paths of a machine.
    """
    found = {key: meta[key] for key in KEYS if key in meta}
    report = found["metrics"]
    if isinstance(report.get("metrics"), dict) and isinstance(report.get("annotations"), str):
        boxes = report.get("boxes")
        found.update(metrics=report["metrics"], metrics_on=report["annotations"],
                     metrics_boxes=boxes if boxes in (GROUND_TRUTH, ITS_OWN) else DETECTED)
        if isinstance(report.get("keypoints"), list):
            found["keypoint_metrics"] = report["keypoints"]
    return without_machine_paths(found)
