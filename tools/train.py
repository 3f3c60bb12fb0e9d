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

from pose_tools.console import key_value, run


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("config", type=Path, help="a file of configs/")
    add("--work-dir", type=Path, help="where to write (default: work_dirs/NAME_OF_CONFIG)")
    add("--fold", type=int, metavar="N", help="train on foldN/ of a data set that split_coco.py --folds made")
    add("--resume", nargs="?", const="auto", metavar="CHECKPOINT", help="go on from the newest or a given checkpoint")
    add("--epochs", type=int, help="instead of the config's")
    add("--batch-size", type=int, help="per process, instead of the config's")
    add("--input-size", type=int, nargs=2, metavar=("W", "H"), help="of the network; multiples of 32")
    add("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto",
        help="default: what the device is good at")
    add("--amp", action="store_true", help="mixed precision whatever the device: fp16 on a GPU, bf16 on a CPU")
    add("--no-pretrained", dest="pretrained", action="store_false", help="start from scratch")
    add("--no-validate", dest="validate", action="store_false", help="do not validate during training")
    add("--recipe", choices=("auto", "config"), default="auto",
        help="auto fits warm-up, intervals and the late switch to the dataset; config takes the file literally")
    add("--auto-scale-lr", action="store_true", help="scale the learning rate with the batch, as upstream does")
    add("--seed", type=int, help="of everything random")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N, mps")
    add("--launcher", choices=("none", "pytorch", "slurm", "mpi"), default="none", help="for several processes")
    add("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    add("--show-dir", help="draw validation results into this folder")
    add("--cfg-options", nargs="+", type=key_value, default=[], metavar="KEY=VALUE",
        help="change any entry of the config, e.g. optim_wrapper.optimizer.lr=0.001")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Trains; returns 130 when Ctrl-C ended the run."""
    args = vars(parse_args(argv))
    os.environ.setdefault("LOCAL_RANK", str(args.pop("local_rank")))
    options, amp = dict(args.pop("cfg_options")), args.pop("amp")
    for name in ("config", "work_dir"):
        args[name] = args[name] and args[name].absolute()
    os.chdir(ROOT)  # the paths inside configs are relative to it
    from pose_tools.openmmlab.precision import amp_precision
    from pose_tools.openmmlab.training import TrainOptions, train

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
