"""Merges several COCO keypoint data sets into one.

Examples:
    python pose_tools/merge_coco.py data/monday data/tuesday --out data/week
    python pose_tools/merge_coco.py data/ours data/theirs --out data/both --rename nose=snout vehicle=car

Each is a folder with train_coco.json, val_coco.json and images/, or one COCO file with images/ beside it. Train goes to
train, val to val, images to images/SOURCE/; ids are made anew and keypoints put in order by name. Contradicting swaps
or sigmas, missing keypoints and pictures that are there twice are faults, listed all at once; nothing is written then.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run
from pose_tools.dataset.convert.merge import merge
from pose_tools.dataset.counts import count, count_table


def _rename(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not old or not equals or not new:
        raise argparse.ArgumentTypeError(f"expected OLD=NEW, got {text!r}")
    return old, new


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("sources", metavar="SRC", type=Path, nargs="+", help="data sets to merge, two or more")
    add("--out", metavar="DST", type=Path, required=True, help="data set to make")
    add("--rename", type=_rename, nargs="+", default=[], metavar="OLD=NEW", help="classes and keypoints to rename")
    add("--union", action="store_true", help="keypoints that some sets lack are left unlabelled there")
    add("--keep-duplicates", action="store_true", help="the same picture may be there twice")
    add("--overwrite", action="store_true", help="replace DST when it has contents")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Merges and tells what was done."""
    args = parse_args(argv)
    result = merge(args.sources, args.out, dict(args.rename), args.union, args.keep_duplicates, args.overwrite)
    print("\n".join(result.notes))
    print(f"\n{count_table({name: count(data, result.names) for name, data in result.sides.items()}, result.names)}")
    print(f"\nwrote {args.out}: images/, {', '.join(f'{name}_coco.json' for name in result.sides)}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
