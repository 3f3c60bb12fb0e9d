"""Turns COCO annotations or predictions into labelme files, to look at and correct by hand.

Examples:
    python pose_tools/coco2labelme.py data/carpose/train_coco.json to_correct
    python pose_tools/coco2labelme.py work_dirs/demo/predictions/predictions.json to_correct \\
        --meta configs/_base_/carpose/meta.py
    python pose_tools/coco2labelme.py results.json to_correct --coco data/carpose/val_coco.json
    python pose_tools/coco2labelme.py cvat/annotations/person_keypoints_default.json to_correct

Keypoint exports of CVAT, Label Studio, Roboflow, COCO-Annotator, X-AnyLabeling, Supervisely and FiftyOne are read as
they are; what was read in another way than it is written is told. DST gets the images (hard links where that works)
and a labelme file beside each: a rectangle or polygon an object, a point a keypoint, held together by group_id; scores
in the description. After correcting, labelme2coco.py turns the folder into a data set again. DST is made in one step.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run
from pose_tools.dataset.convert.labelme_sources import gather
from pose_tools.dataset.convert.to_labelme import write_labelme_files
from pose_tools.formats.schema import read_meta


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("src", metavar="SRC", type=Path, help="COCO file, or a list of COCO results such as predictions.json")
    add("dst", metavar="DST", type=Path, help="folder to make")
    add("--coco", type=Path, metavar="FILE", help="the COCO file whose images the results are of")
    add("--meta", type=Path, metavar="FILE", help="configs/_base_/NAME/meta.py: names, for files that have none")
    add("--images", type=Path, metavar="DIR", help="where the images are (images/ beside the COCO file, or near it)")
    add("--bbox-thr", type=float, default=0.3, help="results with a lower score are left out (0.3)")
    add("--kpt-thr", type=float, default=0.3, help="keypoints of results with a lower score are left out (0.3)")
    add("--overwrite", action="store_true", help="replace DST when it has contents")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Converts and tells what was done."""
    args = parse_args(argv)
    names = read_meta(args.meta) if args.meta else None
    pictures, names, classes, notes = gather(args.src, args.coco, names, args.images, args.bbox_thr)
    read = [path for path in (args.src, args.coco) if path]
    result = write_labelme_files(pictures, names, classes, args.dst, args.kpt_thr, args.overwrite, read)
    print("\n".join([*notes, f"wrote {args.dst}: {result.images} images, {result.objects} objects, {result.points} "
                     "keypoints"]))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
