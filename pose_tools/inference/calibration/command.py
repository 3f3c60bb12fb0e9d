"""What ``tools/calibrate.py`` does and prints."""
from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from pose_tools.console import UserError
from pose_tools.console.atomic import write_whole
from pose_tools.formats.calibration import DETECTED, GROUND_TRUTH, Calibration
from pose_tools.formats.coco import load_coco
from pose_tools.formats.schema import KeypointSet
from pose_tools.inference.calibration.assess import Choice, assessment_table, choose_method
from pose_tools.inference.calibration.fit import Observations, fit_curves
from pose_tools.inference.calibration.observing import LabelledPicture, Rule, labelled_pictures, observe
from pose_tools.options.calibrating import CalibrateOptions

FEW_LABELS = 30  # of a keypoint; with fewer, its curve is mostly that of all keypoints


@dataclass(frozen=True)
class _Data:
    """The validation set: its annotation file, its labelled pictures, and a detector's boxes where they were given."""

    file: Path
    pictures: list[LabelledPicture]
    detections: Optional[list[dict[str, Any]]]


def calibrate(options: CalibrateOptions) -> Calibration:
    """Calibrates a checkpoint; prints how good that is and writes ``calibration.json`` and ``reliability.png``.

    Args:
        options: What was asked for.

    Returns:
        The calibration.

    Raises:
        UserError: Something the user can put right; nothing was written.
        FaultsError: Faults of the data, all together.
    """
    from pose_tools.inference.topdown import RunOptions

    _check(options)
    model = RunOptions(device=options.device, batch_size=options.batch_size, flip_test=options.flip_test).pose_model(
        options.checkpoint)
    names: KeypointSet = model.keypoint_set
    data = _read_data(options, names)
    if len(data.pictures) < options.folds:
        raise UserError(f"{data.file}: {len(data.pictures)} pictures with labelled points are too few for "
                        f"{options.folds} folds; {'lower --folds' if len(data.pictures) > 1 else 'label more'}")
    rule = Rule(options.distance, options.unlabelled == "wrong")
    observed = observe(model, data.pictures, rule, options.batch_size, data.detections)
    if len(np.unique(observed.pictures)) < 2:
        raise UserError(f"{options.boxes}: its boxes match objects of one picture only")
    choice = choose_method(observed, names, options.folds)
    calibration = Calibration(
        fit_curves(observed, names, choice.method), options.distance, choice.method,
        DETECTED if options.boxes else GROUND_TRUTH, bool(getattr(model, "flip_test", False)), data.file.name,
        len(np.unique(observed.pictures)), _hash_of(options.checkpoint))
    _tell(calibration, observed, choice, names)
    _write(options, calibration, observed, choice.probabilities)
    return calibration


def _check(options: CalibrateOptions) -> None:
    """Looks for what can be wrong before the model is run."""
    from pose_tools.weights.hashes import hash_in_name

    if options.checkpoint.suffix not in (".pth", ".pt", ".safetensors"):
        raise UserError(f"{options.checkpoint}: calibrate the checkpoint (.pth), and export it afterwards")
    if options.write and hash_in_name(options.checkpoint.name) is None:
        raise UserError(f"{options.checkpoint}: --write is for published files; leave it out, and publish this one "
                        "with tools/publish_model.py --calibration FILE")


def _read_data(options: CalibrateOptions, names: KeypointSet) -> _Data:
    from pose_tools.openmmlab.config import annotation_file, image_folder, kind_of, load_config

    cfg = load_config(options.config)
    if kind_of(cfg) != "pose":
        raise UserError(f"{options.config}: is the config of a detector; its boxes have scores of their own")
    dataset = (cfg.get("val_dataloader") or {}).get("dataset") or {}
    if options.labels is None and "ann_file" not in dataset:
        raise UserError(f"{options.config}: names no validation set (val_dataloader.dataset.ann_file); "
                        "say --labels FILE")
    file = options.labels or annotation_file(dataset)
    data = load_coco(file)
    folder = image_folder(dataset) if options.labels is None else file.parent / "images"
    pictures = labelled_pictures(data, file, folder, names)
    return _Data(file, pictures, _read_boxes(options, {image["id"] for image in data["images"]}))


def _read_boxes(options: CalibrateOptions, image_ids: set[Any]) -> Optional[list[dict[str, Any]]]:
    if options.boxes is None:
        return None
    from pose_tools.openmmlab.testing import read_boxes

    boxes = read_boxes(options.boxes, image_ids, options.bbox_thr)
    return [box for box in boxes if box["score"] >= options.bbox_thr]


def _hash_of(checkpoint: Path) -> str:
    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file
    from pose_tools.weights.pretrained import state_dict_of
    from pose_tools.weights.release.calibration import sha256_of_weights

    return sha256_of_weights(state_dict_of(load_checkpoint_file(checkpoint), checkpoint))


def _tell(calibration: Calibration, observed: Observations, choice: Choice, names: KeypointSet) -> None:
    print(assessment_table(observed, choice.probabilities, names))
    print(f"{len(observed)} points of {calibration.pictures} pictures of {calibration.annotations}; ECE and Brier "
          "without 'raw' are cross-validated")
    losses = ", ".join(f"{method} {loss:.4f}" for method, loss in choice.losses.items())
    print(f"log loss: {losses}; {choice.method} is taken")
    print(f"a probability is {calibration.meaning}")
    if calibration.boxes == GROUND_TRUTH:
        print("note: fitted in the labelled boxes; in a detector's boxes, which are less exact, points are right less "
              "often than that: to use it with a detector, fit with --boxes RESULTS of tools/test.py", file=sys.stderr)
    few = [curve.name for curve in calibration.curves if curve.labels < FEW_LABELS]
    if few:
        print(f"note: fewer than {FEW_LABELS} labels, so that these go mostly by all keypoints: {_some(few)}",
              file=sys.stderr)
    if observed.right.all() or not observed.right.any():
        print(f"note: {'all' if observed.right.all() else 'no'} points are right, so that there is little to learn; "
              f"try a {'smaller' if observed.right.all() else 'larger'} --distance than {calibration.distance:g}",
              file=sys.stderr)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _write(options: CalibrateOptions, calibration: Calibration, observed: Observations,
           probabilities: np.ndarray) -> None:
    from pose_tools.openmmlab.config import default_work_dir
    from pose_tools.report.reliability_plot import draw_reliability, png

    out = options.out or default_work_dir(options.config) / "calibration"
    picture = png(draw_reliability(calibration, observed.scores, observed.right, observed.keypoints, probabilities))
    write_whole(out / "reliability.png", picture)
    write_whole(out / "calibration.json", f"{calibration.to_json()}\n".encode())
    print(f"wrote {out / 'calibration.json'} and {out / 'reliability.png'}")
    if options.write:
        from pose_tools.weights.release.publish import prepare

        published = prepare(options.checkpoint, calibration=out / "calibration.json").write(options.checkpoint.parent)
        print(f"wrote {published.path}, which is {options.checkpoint.name} with this calibration; {published.verified}")
