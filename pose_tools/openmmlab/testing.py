"""Testing a checkpoint: COCO's table, and for a keypoint model what each point is worth."""
from __future__ import annotations

import dataclasses
import json
import math
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from mmengine import Config

from pose_tools.console import FaultsError, UserError, table
from pose_tools.dataset.faults import fold_faults
from pose_tools.dataset.result_checks import result_faults
from pose_tools.formats.coco import load_coco, write_text
from pose_tools.openmmlab.config import (
    annotation_file,
    default_work_dir,
    embedded_config,
    keypoint_set_of,
    kind_of,
    load_config,
)
from pose_tools.openmmlab.device import use_device
from pose_tools.openmmlab.input_size import set_input_size
from pose_tools.openmmlab.log_lines import ReadableRunner
from pose_tools.openmmlab.preflight import check_before_run
from pose_tools.report.metrics import PCK_THRESHOLDS, KeypointScore, keypoint_scores, overall


@dataclass(frozen=True)
class TestOptions:
    """What ``tools/test.py`` was asked for; see its ``--help``."""

    __test__ = False  # pytest would collect it

    config: Path
    checkpoint: Path
    work_dir: Optional[Path] = None
    boxes: Optional[Path] = None
    bbox_thr: float = 0.05
    input_size: Optional[tuple[int, int]] = None
    device: str = "auto"
    launcher: str = "none"
    show_dir: Optional[str] = None
    options: dict[str, Any] = field(default_factory=dict)


def read_boxes(path: Path, image_ids: set[int], bbox_thr: float) -> list[dict[str, Any]]:
    """Reads a detector's boxes in COCO results format, naming what is wrong with them.

    Args:
        path: As ``tools/test.py`` writes it for a detector.
        image_ids: Of the data set.
        bbox_thr: A score that at least one must have.

    Returns:
        All of them.

    Raises:
        UserError: There is no such file, it is not JSON, or there is nothing to use.
        FaultsError: It holds something else; all of it is listed.
    """
    try:
        boxes = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except ValueError as error:
        raise UserError(f"{path}: is not JSON: {error}") from error
    if faults := result_faults(boxes, path, image_ids):
        raise FaultsError(fold_faults(faults), f"{len(faults)} faults")
    if not any(box["score"] >= bbox_thr for box in boxes):
        what = f"of its {len(boxes)} detections none has a score of {bbox_thr:g}" if boxes else "holds no detection"
        raise UserError(f"{path}: {what}, so there is nothing to test")
    return boxes


def _use_boxes(cfg: Config, path: Path, bbox_thr: float) -> None:
    dataset = cfg.test_dataloader.dataset
    image_ids = {image["id"] for image in load_coco(annotation_file(dataset))["images"]}
    read_boxes(path, image_ids, bbox_thr)
    dataset.type = "DetectedBoxesDataset"
    dataset.bbox_file, dataset.bbox_thr = str(path), bbox_thr


def _trained_size(checkpoint: Path) -> Optional[tuple[int, int]]:
    cfg = embedded_config(checkpoint)
    return tuple(cfg.input_size) if cfg is not None and "input_size" in cfg else None


def _prepare(options: TestOptions) -> Config:
    cfg = load_config(options.config, options.options)
    kind = kind_of(cfg)
    if not options.checkpoint.is_file():
        raise UserError(f"{options.checkpoint}: no such checkpoint")
    size = options.input_size or _trained_size(options.checkpoint)
    if size and size != tuple(cfg.get("input_size") or size):
        set_input_size(cfg, size)
        print(f"input size {size[0]} x {size[1]}{'' if options.input_size else ', as the checkpoint was trained'}")
    cfg.work_dir = str(options.work_dir or default_work_dir(options.config) / "test")
    cfg.load_from, cfg.resume, cfg.launcher = str(options.checkpoint), False, options.launcher
    cfg.model.pop("init_cfg", None)
    check_before_run(cfg, ("test", ))
    if options.boxes:
        if kind != "pose":
            raise UserError("--boxes is for a keypoint model; a detector makes its own boxes")
        _use_boxes(cfg, options.boxes, options.bbox_thr)
    loader = cfg.test_dataloader
    loader.num_workers = min(loader.num_workers, os.cpu_count() or 1)
    loader.persistent_workers = loader.num_workers > 0
    cfg.test_evaluator.outfile_prefix = str(Path(cfg.work_dir) / "coco")
    if options.show_dir:
        cfg.default_hooks.visualization.update(
            {"draw": True, "test_out_dir": options.show_dir} if kind == "detector"
            else {"enable": True, "out_dir": options.show_dir})
    return cfg


def _take_results(work_dir: Path, kind: str) -> Path:
    """Moves what upstream's metric wrote (``coco.bbox.json``, ``coco.keypoints.json``) to ``results.json``."""
    written = work_dir / ("coco.bbox.json" if kind == "detector" else "coco.keypoints.json")
    if not written.is_file():
        # mmdet writes nothing when there is not one detection.
        write_text(written, "[]\n")
    target = work_dir / "results.json"
    os.replace(written, target)
    return target


def _json_ready(values: dict[str, Any]) -> dict[str, Any]:
    """NaN (the mean of nothing) as None: JSON has no NaN."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}


def keypoint_table(scores: list[KeypointScore]) -> str:
    """The per-keypoint table, last row over all keypoints."""
    rows = [[s.name, s.labelled, s.found, s.mean_px, s.median_px, *s.pck] for s in [*scores, overall(scores)]]
    return table(rows, ["keypoint", "labelled", "found", "mean px", "median px",
                        *(f"PCK@{t:g}" for t in PCK_THRESHOLDS)])


def test(options: TestOptions) -> dict[str, Any]:
    """Tests a checkpoint; prints the tables and writes ``results.json`` and ``metrics.json``.

    Args:
        options: What to test, on what.

    Returns:
        What ``metrics.json`` holds: ``metrics`` (COCO's), ``boxes``, ``annotations``, ``checkpoint`` and, for a
        keypoint model, ``keypoints``.

    Raises:
        UserError: Something the user can put right; data faults come all together.
    """
    cfg = _prepare(options)
    use_device(options.device)
    kind, work_dir = kind_of(cfg), Path(cfg.work_dir)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        runner = ReadableRunner.from_cfg(cfg)
    metrics = _json_ready({key: float(value) for key, value in runner.test().items()})
    if not metrics:
        # Upstream gives no metrics at all for a detector that finds nothing.
        print("nothing was found in any image, so the mAP is 0")
        metrics = {"coco/bbox_mAP": 0.0}
    results = _take_results(work_dir, kind)
    annotations = annotation_file(cfg.test_dataloader.dataset)
    report: dict[str, Any] = {
        "checkpoint": str(options.checkpoint), "annotations": str(annotations), "metrics": metrics,
        "boxes": str(options.boxes) if options.boxes else ("ground truth" if kind == "pose" else "its own"),
    }
    if kind == "pose":
        keypoint_set = keypoint_set_of(cfg)
        data = load_coco(annotations)
        names = keypoint_set.keypoints if keypoint_set else data["categories"][0]["keypoints"]
        scores = keypoint_scores(data["annotations"], json.loads(results.read_text(encoding="utf-8")), names)
        report["keypoints"] = [_json_ready(dataclasses.asdict(score)) for score in [*scores, overall(scores)]]
        print(keypoint_table(scores))
    write_text(work_dir / "metrics.json", json.dumps(report, indent=1, allow_nan=False) + "\n")
    print(f"wrote {results} and {work_dir / 'metrics.json'}")
    return report
