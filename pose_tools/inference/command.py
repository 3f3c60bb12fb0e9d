"""What ``pose_tools/predict.py`` does."""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Optional

import numpy as np

from pose_tools.console import UserError, progress
from pose_tools.console.atomic import write_whole
from pose_tools.inference.given_boxes import GivenBoxes
from pose_tools.inference.media import Source, Window, open_sources
from pose_tools.inference.pipeline.outputs import Draw, Outputs, Wanted, drawer
from pose_tools.inference.pipeline.running import Run
from pose_tools.inference.pipeline.threads import ahead
from pose_tools.inference.predictor import PosePredictor
from pose_tools.inference.result import Result
from pose_tools.report.draw import DrawStyle, check_style

INTERRUPTED = 130  # as shells have it


def predict(args: argparse.Namespace, started: float) -> int:
    """Predicts, writes, and tells what was done.

    Args:
        args: Of :func:`pose_tools.options.predicting.predicting_parser`.
        started: When the program began, as :func:`time.perf_counter` has it.

    Returns:
        1 when something could not be read or predicted; 130 after Ctrl-C, when what was done is written.

    Raises:
        UserError: Inputs, models or options are not what they should be.
    """
    _check(args)
    sources = _without(open_sources(args.inputs), args.out)
    wanted = Wanted(args.out, args.draw, args.jsonl, args.labelme, args.sheet, args.show, args.kpt_thr)
    style = DrawStyle(args.kpt_thr, args.radius, args.thickness, args.draw_bbox, args.show_kpt_idx, args.show_kpt_name,
                      args.skeleton_style, args.alpha)
    window = Window("predict") if args.show else None
    predictor = _predictor(args)
    for line in predictor.warnings:
        print(line, file=sys.stderr)
    check_style(style, predictor.keypoint_set)
    outputs = Outputs(wanted, sources, window)
    run = predictor.run(sources, _boxes(args, predictor, sources))
    start_seconds = time.perf_counter() - started
    ended = _write(run, outputs, drawer(wanted, style))
    _tell(run, outputs, args.out, ended)
    if args.timing is not None:
        write_whole(args.timing, (json.dumps({"start_s": start_seconds, **run.times.as_dict()}) + "\n").encode())
    return INTERRUPTED if ended else 1 if run.faults else 0


def _check(args: argparse.Namespace) -> None:
    """Refuses options that contradict each other."""
    given = [name for name, value in (("--det", args.det), ("--no-det", args.no_det), ("--boxes", args.boxes)) if value]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} say different things about where the boxes come from")
    if args.coco is not None and args.boxes is None:
        raise UserError("--coco is for --boxes, which was not given")
    if args.boxes is not None and args.det_interval > 1:
        raise UserError("--det-interval is for a detector, and the boxes come from --boxes")
    for option in ("det_cat_ids", "nms_thr", "det_config"):
        if getattr(args, option) is not None and args.det is None:
            raise UserError(f"--{option.replace('_', '-')} is for a detector; give one with --det")
    if args.batch_size < 1:
        raise UserError(f"--batch-size {args.batch_size}: expected 1 or more")


def _without(sources: Sequence[Source], folder: Path) -> list[Source]:
    """The sources that are not in the folder that is written to: what an earlier call drew."""
    place = folder.resolve()
    kept = [source for source in sources if source.path is None or place not in source.path.resolve().parents]
    if not kept:
        raise UserError(f"{folder}: --out holds all inputs; write to another folder")
    return kept


def _predictor(args: argparse.Namespace) -> PosePredictor:
    heatmap = args.heatmap_kpt if args.heatmap_kpt is not None else args.draw_heatmap
    return PosePredictor(
        args.det, args.pose, device=args.device, backend=args.backend, precision=args.precision, threads=args.threads,
        batch_size=args.batch_size, flip_test=args.flip_test, bbox_thr=args.bbox_thr, nms_thr=args.nms_thr,
        kpt_thr=args.kpt_thr, det_cat_ids=args.det_cat_ids, det_interval=args.det_interval, track=args.track,
        smooth=args.smooth, scores=args.scores, pnp=args.pnp, camera=args.camera, heatmap=heatmap, meta=args.meta,
        random_init=args.random_init, det_config=args.det_config, pose_config=args.pose_config)


def _boxes(args: argparse.Namespace, predictor: PosePredictor, sources: Sequence[Source]) -> Optional[GivenBoxes]:
    if args.boxes is None:
        return None
    boxes = GivenBoxes(args.boxes, predictor.classes, args.coco, args.bbox_thr)
    if not boxes.names_any([source.name for source in sources]):
        raise UserError(f"{args.boxes}: has boxes for none of the inputs, {sources[0].name} for one; pictures are "
                        "matched by file name")
    return boxes


def _drawn(run: Run, draw: Draw) -> Iterator[tuple[Result, Optional[np.ndarray]]]:
    for result in run:
        with run.times.stage("draw"):
            picture = draw(result)
        yield result, picture


def _write(run: Run, outputs: Outputs, draw: Draw) -> bool:
    """Goes through the run; returns whether Ctrl-C ended it."""
    total = None
    if all(source.kind in ("image", "array") for source in run.sources):
        total = len(run.sources)
    elif all(source.kind != "camera" and source.frames for source in run.sources):
        total = sum(source.frames or 0 for source in run.sources)
    interrupted = False
    try:
        with closing(ahead(_drawn(run, draw), run.schedule.waiting, "draw", run.stop)) as drawn:
            for result, picture in progress(drawn, "predicting", total, " frames"):
                with run.times.stage("write"):
                    if not outputs.add(result, picture):
                        break
    except KeyboardInterrupt:
        interrupted = True
    except BaseException:
        outputs.abort()
        raise
    with run.times.stage("write"):
        outputs.close()
    run.times.end()
    return interrupted


def _tell(run: Run, outputs: Outputs, out: Path, interrupted: bool) -> None:
    times = run.times
    what = "images" if all(source.kind in ("image", "array") for source in run.sources) else "frames"
    print(f"{outputs.frames} {what}, {outputs.instances} instances: {out}")
    for line in [times.line(), *outputs.notes]:
        print(line, file=sys.stderr)
    if interrupted:
        print("interrupted; what was done until then is written", file=sys.stderr)
    if run.faults:
        print(f"not predicted, or not wholly: {len(run.faults)}", file=sys.stderr)
    for fault in run.faults:
        print(fault, file=sys.stderr)
