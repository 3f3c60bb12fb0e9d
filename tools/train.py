#!/usr/bin/env python
"""Train a detector or a keypoint model.

    python tools/train.py configs/rtmdet-tiny-carpose.py
    python tools/train.py configs/rtmpose-s-carpose.py --epochs 100 --input-size 192 192
    python tools/train.py configs/rtmpose-s-carpose.py --resume          # go on where it stopped
"""
from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose_tools.console import run
from pose_tools.options.training import TrainOptions, training_parser


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    return training_parser(__doc__).parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Trains; returns 130 when Ctrl-C ended the run."""
    args = vars(parse_args(argv))
    os.environ.setdefault("LOCAL_RANK", str(args.pop("local_rank")))
    options, amp = dict(args.pop("cfg_options")), args.pop("amp")
    for name in ("config", "work_dir"):
        args[name] = args[name] and args[name].absolute()
    os.chdir(ROOT)  # the paths inside configs are relative to it
    from pose_tools.openmmlab.step.precision import amp_precision
    from pose_tools.openmmlab.training import train

    if amp and args["precision"] == "auto":
        args["precision"] = amp_precision(args["device"])
    outcome = train(TrainOptions(options=options, **args))
    if outcome.interrupted:
        words = [*(sys.argv if argv is None else ["tools/train.py", *argv]), *([] if args["resume"] else ["--resume"])]
        print(f"stopped; go on with: python {shlex.join(words)}", file=sys.stderr)
        return 130
    print(f"trained: {outcome.best or outcome.last}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
