"""Divides a COCO data set into train, val and test, or into folds for cross-validation.

Examples:
    python pose_tools/split_coco.py data/all data/NAME --val 0.2 --test 0.1
    python pose_tools/split_coco.py all_coco.json data/NAME --folds 5 --group-by-video
    python pose_tools/split_coco.py data/all data/NAME --group-by "^[^_]+"

SRC is a data set's folder, or COCO files; splits that are there are taken together. Images, objects, classes and the
labelled and occluded keypoints of each name are shared out evenly. Pictures that are nearly the same stay on one side.
OUT gets images/ (hard links where possible) and train_coco.json, val_coco.json, test_coco.json; with --folds these are
in fold0/, fold1/ ..., for tools/train.py --fold 0. It is made in one step; SRC stays as it is.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import UserError, run
from pose_tools.dataset.near_duplicates import DISTANCE
from pose_tools.dataset.splits.report import TOLERANCE, division_table, imbalances
from pose_tools.dataset.splits.write import DivideOptions, divide_coco


def _distance(text: str) -> int | None:
    if text == "off":
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= 32):
        raise argparse.ArgumentTypeError(f"expected off, or how many of 64 bits may differ, 0 to 32, got {text!r}")
    return int(text)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add, group_by = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    add("sources", metavar="SRC", type=Path, nargs="+", help="a data set's folder, or COCO files")
    add("out", metavar="OUT", type=Path, help="data set to make")
    add("--val", type=float, metavar="SHARE", help="share of the images to validate on (0.2)")
    add("--test", type=float, default=0.0, metavar="SHARE", help="share of the images to test on (0: no test)")
    add("--folds", type=int, default=0, metavar="K", help="K folds: each image is validated on in one of them")
    group_by("--group-by", metavar="REGEX", help="images in whose names this finds the same text (its group 1, or "
             "all of it) stay on one side")
    group_by("--group-by-folder", action="store_true", help="images of one folder stay on one side")
    group_by("--group-by-video", action="store_true", help="so do frames of one video: images with one video_id, or "
             "with names that differ in their last number")
    add("--near-duplicates", type=_distance, default=DISTANCE, metavar="N", help="nearly the same pictures stay on "
        f"one side: N of the 64 bits of their hashes may differ ({DISTANCE}); off: do not look for them")
    add("--images", type=Path, metavar="DIR", help="folder of the images, where it is not beside the COCO file")
    add("--seed", type=int, default=0, help="another seed divides differently (0)")
    add("--overwrite", action="store_true", help="replace OUT when it has contents")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Divides and tells what was balanced."""
    args = parse_args(argv)
    if args.folds and args.val is not None:
        raise UserError("--folds makes the val parts; leave out --val")
    by = ("name" if args.group_by is not None else "folder" if args.group_by_folder
          else "video" if args.group_by_video else None)
    found = divide_coco(args.sources, args.out, DivideOptions(
        0.2 if args.val is None else args.val, args.test, args.folds, by, args.group_by or "", args.near_duplicates,
        args.seed, args.overwrite, args.images))
    print("".join(f"{note}\n" for note in found.notes))
    print(f"{division_table(found.division)}\n")
    off = imbalances(found.division)
    print(f"balanced to {TOLERANCE:.0%} of what was wanted, or to one" + (", except:" if off else "; all of it"))
    print("".join(f"  {line}\n" for line in off), end="")
    print(f"wrote {args.out}: images/, {found.files}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
