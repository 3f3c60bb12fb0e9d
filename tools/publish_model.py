#!/usr/bin/env python
"""Makes a release of a trained model: a checkpoint alone, or a folder with all that belongs to it.

    python tools/publish_model.py work_dirs/rtmpose-s-carpose/best_coco_AP_epoch_90.pth checkpoint/
    python tools/publish_model.py IN --local-dir releases/cars --licence Apache-2.0 --sample-images photos/
    python tools/publish_model.py IN --to hf:USER/REPO --licence Apache-2.0              # says what it would send
    python tools/publish_model.py IN --to hf:USER/REPO --licence Apache-2.0 --upload     # sends it

The checkpoint is NAME-<first 8 of its SHA-256>_<day it was saved>.pth: averaged (EMA) weights where the run kept
them, config, keypoint set and scores, nothing of the machine; it is checked to give exactly the outputs of IN. It
can be used alone: pose_tools/predict.py, mmdet.apis.init_detector and mmpose.apis.init_model take it. The folder
has it with its config, a model card, SHA256SUMS and a catalog.yaml by which tools/download_weights.py --catalog
fetches it. Made again, on any day, with the same versions of torch and so on, all of it is the same, byte for byte.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("checkpoint", metavar="IN", help="checkpoint of a run (work_dirs/X/best_*.pth), or one published before, which "
                                         "is taken as it is")
    add("out", metavar="OUT", nargs="?", help="checkpoint/NAME, or a folder to use the config's name; may be left out "
                                              "where a release folder is made")
    add("--metrics", metavar="FILE", help="JSON file of scores, as tools/test.py writes it; by default the run's own")
    add("--config", metavar="FILE", help="the config, where the checkpoint carries none")
    add("--calibration", metavar="FILE", help="what tools/calibrate.py wrote for IN: scores become probabilities")
    add("--precision", choices=("fp16", ), help="round the weights: half the bytes; NAME becomes NAME-fp16")
    add("--date", metavar="YYYYMMDD", help="date in the name (default: the day the checkpoint was saved; today "
                                           "where it does not say)")
    group = parser.add_argument_group("release folder")
    add = group.add_argument
    add("--local-dir", metavar="DIR", help="make it here")
    add("--to", metavar="hf:USER/REPO", help="make it for this repository of the hub, in work_dirs/release/NAME or "
                                             "--local-dir, and say what would be sent")
    add("--upload", action="store_true", help="send it, in one commit; needs a token (HF_TOKEN, or: hf auth login)")
    add("--private", action="store_true", help="make a new repository private")
    add("--licence", "--license", metavar="NAME", default="", help="of the weights: Apache-2.0, CC-BY-NC-4.0, ...")
    add("--safetensors", action="store_true", help="write the weights as .safetensors as well")
    add("--sample", metavar="PICTURE", type=Path, help="picture for the card")
    add("--sample-images", metavar="PATH", type=Path, nargs="+", default=[],
        help="pictures or folders to predict for it; the first four. Choose those you may publish")
    add("--det", metavar="FILE", type=Path, help="published detector to find the objects in them, for a keypoint "
                                                             "model; without one a picture is taken for one object")
    add("--overwrite", action="store_true", help="replace the folder even if it holds something else than a release")
    args = parser.parse_args(argv)
    for wrong, words in ((not (args.out or args.local_dir or args.to), "say where: OUT, --local-dir or --to"),
                         ((args.upload or args.private) and not args.to, "--upload and --private need --to"),
                         (args.sample and args.sample_images, "--sample and --sample-images exclude each other"),
                         (args.det and not args.sample_images, "--det needs --sample-images"),
                         (not (args.local_dir or args.to) and (args.licence or args.safetensors or args.sample
                          or args.sample_images or args.overwrite), "a release folder needs --local-dir or --to")):
        if wrong:
            parser.error(words)
    return args


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Publishes."""
    args = parse_args(argv)
    from pose_tools.inference.sample import plan_sample
    from pose_tools.weights.release.command import publish

    return publish(args, *plan_sample(args.sample, args.sample_images, args.det))


if __name__ == "__main__":
    sys.exit(run(main))
