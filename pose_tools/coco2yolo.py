"""Turns a COCO keypoint data set into a YOLO pose one, as Ultralytics reads it.

Examples:
    python pose_tools/coco2yolo.py data/carpose yolo/carpose
    python pose_tools/coco2yolo.py annotations/val.json yolo/carpose --images pictures

SRC is a folder with train_coco.json, val_coco.json and images/, or one COCO file. DST gets images/, labels/ and
data.yaml; it is made in one step, and after any error it is as it was. Going back with yolo2coco.py gives the same
boxes and keypoints.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run
from pose_tools.dataset.convert.to_yolo import coco_to_yolo
from pose_tools.dataset.counts import count, count_table


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("src", metavar="SRC", type=Path, help="folder with train_coco.json and images/, or one COCO file")
    add("dst", metavar="DST", type=Path, help="folder to make")
    add("--images", type=Path, metavar="DIR", help="where the images are (images/ beside the COCO file)")
    add("--overwrite", action="store_true", help="replace DST when it has contents")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Converts and tells what was done."""
    args = parse_args(argv)
    result = coco_to_yolo(args.src, args.dst, args.images, args.overwrite)
    print("\n".join(result.notes))
    print(count_table({name: count(data, result.names) for name, data in result.sides.items()}, result.names))
    print(f"\nwrote {args.dst}: images/, labels/, data.yaml")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
