#!/usr/bin/env python
"""Find objects and their keypoints in pictures, videos and camera streams.

    python pose_tools/predict.py photos/ --det checkpoint/rtmdet-tiny-carpose-1a2b3c4d_20261121.pth \\
        --pose checkpoint/rtmpose-s-carpose-5e6f7a8b_20261121.pth --out work_dirs/predicted --sheet
    python pose_tools/predict.py street.mp4 --det DET.onnx --pose POSE.onnx --det-interval 3 --smooth
    python pose_tools/predict.py webcam:0 --det DET.onnx --pose POSE.onnx --show
    python pose_tools/predict.py data/carpose/images --boxes data/carpose/val_coco.json --pose POSE.pth

Writes the drawn pictures and videos and predictions.json (COCO results format) into the --out folder. Keypoint scores
are raw maxima of the network's output, which are no probabilities, unless the model was calibrated; the JSON says
which.

Models are checkpoints (.pth), ONNX files (.onnx) or OpenVINO's (.xml), mixed as you like; the latter two, which
tools/export.py makes, need neither torch nor OpenMMLab: requirements/runtime.txt is enough.
"""
from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run
from pose_tools.options.predicting import predicting_parser

STARTED = time.perf_counter()


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    return predicting_parser(__doc__).parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Predicts; returns 1 when something could not be read, 130 after Ctrl-C."""
    args = parse_args(argv)
    from pose_tools.inference.command import predict

    return predict(args, STARTED)


if __name__ == "__main__":
    sys.exit(run(main))
