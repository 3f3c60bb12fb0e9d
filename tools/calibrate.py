#!/usr/bin/env python
"""Fit what the raw scores of a keypoint model are worth, on the validation set: probabilities instead of raw maxima.

    python tools/calibrate.py configs/rtmpose-s-carpose.py checkpoint/rtmpose-s-carpose-1a2b3c4d_20261121.pth
    python tools/calibrate.py CONFIG CHECKPOINT --boxes work_dirs/rtmdet-tiny-carpose/test/results.json
    python tools/calibrate.py CONFIG CHECKPOINT --write        # also into the checkpoint, under a new name
    python tools/publish_model.py BEST.pth checkpoint/ --calibration work_dirs/NAME/calibration/calibration.json

Writes calibration.json and reliability.png. A probability is that of the point being nearer than 5 % of the longer side
of its object's box to where a person would label it. Only pictures that the model was not trained on tell the truth;
and where a detector will find the boxes, only that detector's boxes do.
"""
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose_tools.console import run
from pose_tools.options.calibrating import CalibrateOptions, calibrating_parser


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    return calibrating_parser(__doc__).parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Calibrates."""
    args = vars(parse_args(argv))
    from pose_tools.weights.resolve import resolve_weights

    args["checkpoint"] = resolve_weights(args["checkpoint"])
    for name in ("config", "checkpoint", "labels", "boxes", "out"):
        args[name] = args[name] and args[name].absolute()
    os.chdir(ROOT)  # the paths inside configs are relative to it
    from pose_tools.inference.calibration.command import calibrate

    calibrate(CalibrateOptions(**args))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
