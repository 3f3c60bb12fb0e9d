"""Predicts a video with rtmlib, as its users write it: read, detect, pose, draw, write, one frame after the other.

    python benchmarks/rtmlib_predict.py street.mp4 det.onnx pose.onnx out.mp4 found.json --meta META.json

The models are exported by ours, META.json holds what rtmlib must be told of them (``det_size`` and ``pose_size`` as
width and height, ``names``, ``links``). Its `draw_skeleton` knows some sets of keypoints alone; others are drawn by
what it calls itself. With `--det-interval N` its PoseTracker is used, which detects in every Nth frame.
"""
from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, Optional

import cv2
import numpy as np


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("video")
    add("det")
    add("pose")
    add("out", help="video to write")
    add("json", type=Path, help="predictions to write")
    add("--meta", type=Path, required=True)
    add("--backend", default="onnxruntime")
    add("--bbox-thr", type=float, default=0.3)
    add("--kpt-thr", type=float, default=0.3)
    add("--det-interval", type=int, default=1)
    return parser.parse_args(argv)


Found = tuple[Any, np.ndarray, np.ndarray]  # boxes (N, 4) xyxy or None, keypoints (N, K, 2), scores (N, K)


def model_of(args: argparse.Namespace, meta: dict[str, Any]) -> Callable[[np.ndarray], Found]:
    """From a BGR frame to boxes, keypoints and scores."""
    from rtmlib import Custom, PoseTracker, RTMDet, RTMPose

    det_size, pose_size = tuple(meta["det_size"][::-1]), tuple(meta["pose_size"])
    if args.det_interval > 1:
        custom = functools.partial(Custom, det_class="RTMDet", det=args.det, det_input_size=det_size,
                                   pose_class="RTMPose", pose=args.pose, pose_input_size=pose_size)
        tracker = PoseTracker(custom, det_frequency=args.det_interval, backend=args.backend)
        return lambda frame: (None, *tracker(frame))
    detector = RTMDet(args.det, model_input_size=det_size, backend=args.backend, score_thr=args.bbox_thr)
    estimator = RTMPose(args.pose, model_input_size=pose_size, backend=args.backend)

    def find(frame: np.ndarray) -> Found:
        boxes = detector(frame)
        # What it normalises is taken for RGB; without this the keypoints would be others than upstream's.
        return (boxes, *estimator(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), bboxes=boxes))

    return find


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Predicts, draws and writes."""
    args = parse_args(argv)
    from rtmlib import draw_bbox
    from rtmlib.visualization.draw import draw_mmpose

    meta = json.loads(args.meta.read_text(encoding="utf-8"))
    points = {i: {"name": name, "id": i, "color": [51, 153, 255]} for i, name in enumerate(meta["names"])}
    links = {i: {"link": link, "id": i, "color": [0, 255, 0]} for i, link in enumerate(meta["links"])}
    find, capture, writer, found = model_of(args, meta), cv2.VideoCapture(args.video), None, []
    while True:
        read, frame = capture.read()
        if not read:
            break
        boxes, keypoints, scores = find(frame)
        found.append([{"bbox": None if boxes is None or not len(boxes) else np.asarray(boxes[i]).tolist(),
                       "keypoints": np.asarray(keypoints[i]).tolist(), "scores": np.asarray(scores[i]).tolist()}
                      for i in range(len(keypoints))])
        drawn = frame.copy()
        if boxes is not None:
            drawn = draw_bbox(drawn, boxes)
        for own, certain in zip(keypoints, scores):
            drawn = draw_mmpose(drawn, own, certain, points, links, kpt_thr=args.kpt_thr)
        if writer is None:
            writer = cv2.VideoWriter(args.out, cv2.VideoWriter_fourcc(*"mp4v"), capture.get(cv2.CAP_PROP_FPS),
                                     frame.shape[1::-1])
        writer.write(drawn)
    if writer is not None:
        writer.release()
    args.json.write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
