#!/usr/bin/env python
"""Test a checkpoint on the validation set: COCO's table and, for keypoints, every point's error.

    python tools/test.py configs/rtmdet-tiny-carpose.py checkpoint/rtmdet-tiny-carpose-1a2b3c4d_20261121.pth
    python tools/test.py configs/rtmpose-s-carpose.py CHECKPOINT                    # ground-truth boxes
    python tools/test.py configs/rtmpose-s-carpose.py CHECKPOINT \\
        --boxes work_dirs/rtmdet-tiny-carpose/test/results.json                     # a detector's boxes
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

from pose_tools.console import key_value, run


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("config", type=Path, help="a file of configs/, or the one dumped into a work folder")
    add("checkpoint", help="a checkpoint: a file, an address, hf:USER/REPO#FILE, or a model's name")
    add("--work-dir", type=Path, help="where to write (default: work_dirs/NAME_OF_CONFIG/test)")
    add("--boxes", type=Path, help="a detector's results.json, for a keypoint model; default: ground-truth boxes")
    add("--bbox-thr", type=float, default=0.05, help="least score of those boxes; at most 20 an image count (0.05)")
    add("--input-size", type=int, nargs=2, metavar=("W", "H"), help="as in training, where it was changed there")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N, mps")
    add("--launcher", choices=("none", "pytorch", "slurm", "mpi"), default="none", help="for several processes")
    add("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    add("--show-dir", help="draw the results into this folder")
    add("--cfg-options", nargs="+", type=key_value, default=[], metavar="KEY=VALUE",
        help="change entries of the config")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Tests."""
    args = vars(parse_args(argv))
    os.environ.setdefault("LOCAL_RANK", str(args.pop("local_rank")))
    options = dict(args.pop("cfg_options"))
    from pose_tools.weights.resolve import resolve_weights

    args["checkpoint"] = resolve_weights(args["checkpoint"])
    for name in ("config", "checkpoint", "work_dir", "boxes"):
        args[name] = args[name] and args[name].absolute()
    os.chdir(ROOT)  # the paths inside configs are relative to it
    from pose_tools.openmmlab.testing import TestOptions, test

    test(TestOptions(options=options, **args))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
