"""Turns a YOLO pose data set (Ultralytics, Roboflow) into a COCO one to train on.

Examples:
    python pose_tools/yolo2coco.py badminton data/badminton
    python pose_tools/yolo2coco.py badminton/data.yaml data/badminton --keypoints names.txt --clip

SRC is a folder with a data.yaml, or that file. Its own division into train, val and test is kept; a set without one is
split. DST gets images/ and train_coco.json, val_coco.json, test_coco.json; it is made in one step, and after any error
it is as it was. All faults are listed at once.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import UserError, run
from pose_tools.dataset.convert.from_yolo import YoloOptions, yolo_to_coco
from pose_tools.dataset.convert.options import read_names
from pose_tools.dataset.counts import count, count_table
from pose_tools.dataset.data_set import unlike_its_config
from pose_tools.dataset.faults import fold_faults
from pose_tools.formats.schema import read_meta


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("src", metavar="SRC", type=Path, help="folder with a data.yaml, or that file")
    add("dst", metavar="DST", type=Path, help="data set to make")
    add("--meta", type=Path, metavar="FILE", help="configs/_base_/NAME/meta.py: all names, in the order of the labels")
    add("--keypoints", type=Path, metavar="FILE", help="keypoint names, one a line, in the order of the labels")
    add("--split", type=float, default=0.8, metavar="SHARE", help="share to train on, where there is no val (0.8)")
    add("--seed", type=int, default=0, help="another seed splits differently (0)")
    add("--group-by", metavar="REGEX", help="images in whose names this finds the same text stay on one side")
    add("--clip", action="store_true", help="cut boxes and drop keypoints that lie outside the image")
    add("--skip-faulty", action="store_true", help="leave out images with faults and say how many")
    add("--keep-empty", action="store_true", help="keep images without a label file, as negatives")
    add("--overwrite", action="store_true", help="replace DST when it has contents")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Converts and tells what was done."""
    args = vars(parse_args(argv))
    source, destination, meta, keypoints = (args.pop(name) for name in ("src", "dst", "meta", "keypoints"))
    if meta and keypoints:
        raise UserError("--meta already names the keypoints; leave out --keypoints")
    options = YoloOptions(names=read_meta(meta) if meta else None,
                          keypoints=read_names(keypoints) if keypoints else None, **args)
    result = yolo_to_coco(source, destination, options)
    if result.notes:
        print("\n".join(result.notes))
    if result.faults:
        print(f"left out for {len(result.faults)} faults:")
        print("\n".join(f"  {fault}" for fault in fold_faults(result.faults)))
    print(f"\n{count_table({name: count(data, result.names) for name, data in result.sides.items()}, result.names)}")
    print(f"\nwrote {destination}: images/, {', '.join(f'{name}_coco.json' for name in result.sides)}")
    for line in unlike_its_config(destination, result.names):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
