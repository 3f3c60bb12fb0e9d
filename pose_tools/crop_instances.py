"""Cuts every object out of its image: one picture an object, its annotation moved along.

Examples:
    python pose_tools/crop_instances.py data/carpose data/carpose_crops
    python pose_tools/crop_instances.py annotations/val.json crops --images pictures --margin 0.5

SRC is a folder with train_coco.json, val_coco.json and images/, or one COCO file. The picture of annotation 12 in
a/b.jpg is a/b_12.jpg: the box with room around it, and all labelled keypoints. DST is made in one step.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run
from pose_tools.dataset.convert.crops import crop_instances


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("src", metavar="SRC", type=Path, help="folder with train_coco.json and images/, or one COCO file")
    add("dst", metavar="DST", type=Path, help="data set to make")
    add("--margin", type=float, default=0.25, help="room on each side, as a share of the box's longer side (0.25)")
    add("--images", type=Path, metavar="DIR", help="where the images are (images/ beside the COCO file)")
    add("--overwrite", action="store_true", help="replace DST when it has contents")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Crops and tells what was done."""
    args = parse_args(argv)
    notes: list[str] = []
    written = crop_instances(args.src, args.dst, args.margin, args.images, args.overwrite, notes)
    held = ", ".join(f"{split} {len(data['images'])}" for split, data in written.items())
    print("\n".join(notes), end="\n" if notes else "")
    print(f"wrote {args.dst}: {held} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
