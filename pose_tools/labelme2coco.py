"""Turns a folder of labelme files into a COCO data set to train on.

Examples:
    python pose_tools/labelme2coco.py photos data/wheels
    python pose_tools/labelme2coco.py photos data/carpose --meta configs/_base_/carpose/meta.py --split 0.9
    python pose_tools/labelme2coco.py json data/people --images pictures --group-by "^[^_]+" --verify-images

SRC is searched with its subfolders. Which points belong to which object is told by group_id, or else by the
boxes (rectangles, polygons, circles) they lie in. DST gets images/, train_coco.json and val_coco.json; it
is made in one step, and after any error it is as it was. All faults are listed at once. Of images only the first and
last bytes are looked at, unless --verify-images has them decoded. Large folders are read by several processes.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run
from pose_tools.dataset.convert.labelme import convert
from pose_tools.dataset.convert.options import make_options, parse_pad, parse_suffix
from pose_tools.dataset.convert.report import describe
from pose_tools.dataset.data_set import unlike_its_config
from pose_tools.formats.ownership import Pad


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    add = parser.add_argument
    add("src", metavar="SRC", type=Path, help="folder of labelme files")
    add("dst", metavar="DST", type=Path, help="data set to make")
    add("--meta", type=Path, metavar="FILE", help="configs/_base_/NAME/meta.py: all names")
    add("--keypoints", type=Path, metavar="FILE", help="keypoint names, one a line; default: as in the data")
    add("--classes", type=Path, metavar="FILE", help="class names, one a line; default: as in the data")
    add("--images", type=Path, nargs="+", default=[], metavar="DIR", help="where else to look for images")
    add("--split", type=float, default=0.8, metavar="SHARE", help="share to train on; 1: no validation (0.8)")
    add("--seed", type=int, default=0, help="another seed splits differently (0)")
    add("--group-by", metavar="REGEX", help="images in whose names this finds the same text (its group 1, or "
        "all of it) stay on one side, as the frames of a video should")
    add("--bbox-from-points", nargs="?", type=parse_pad, const=Pad(0.1, True), metavar="PAD", help="make a "
        "box around points that have none, with PAD px of room, or e.g. 5%% of their longer side (10%%)")
    add("--visibility-suffixes", nargs="+", type=parse_suffix, default=[], metavar="SUFFIX=V", help="endings "
        "of point labels and what they mean: 0 not labelled, 1 occluded, 2 visible; e.g. _occ=1")
    add("--ignore-labels", nargs="+", default=[], metavar="LABEL", help="labels to pass over")
    add("--skip-faulty", action="store_true", help="leave out images with faults and say how many")
    add("--keep-empty", action="store_true", help="keep images without a labelme file, as negatives")
    add("--verify-images", action="store_true", help="decode every image, to find those damaged inside")
    add("--workers", type=int, metavar="N", help="processes for large folders; 1: no more than this one (one a "
        "processor)")
    add("--overwrite", action="store_true", help="replace DST when it has contents")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Converts and tells what was done."""
    args = parse_args(argv)
    result = convert(args.src, args.dst, make_options(args))
    text = describe(result, args.dst, args.keep_empty, args.split)
    print("\n".join([text, *unlike_its_config(args.dst, result.names)]))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
