"""Tells what a COCO data set holds and which input sizes suit it.

Examples:
    python pose_tools/dataset_stats.py data/carpose
    python pose_tools/dataset_stats.py data/carpose --out work_dirs/carpose_stats
    python pose_tools/dataset_stats.py annotations/train.json annotations/val.json --images photos --json

Counts images, objects and keypoints, measures boxes and image sizes, and recommends input sizes for the keypoint model
and the detector, with the commands to train with. --out makes a folder with plots, stats.md and stats.json. What cannot
be measured is left out and counted. The rules stand in stats.md and in pose_tools/dataset/stats/input_sizes.py.
"""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("sources", metavar="SRC", type=Path, nargs="+", help="a folder with train_coco.json ..., or COCO files")
    add("--out", metavar="DIR", type=Path, help="folder to make, with plots, stats.md and stats.json")
    add("--meta", metavar="FILE", type=Path, help="meta.py with the names (default: the data set's config, if any)")
    add("--images", metavar="DIR", type=Path, help="where the images are; they are not opened")
    add("--input-size", type=int, nargs=2, metavar=("W", "H"), help="present input of the keypoint model (256 256)")
    add("--det-input-size", type=int, nargs=2, metavar=("W", "H"), help="present input of the detector (640 640)")
    add("--json", action="store_true", help="print the numbers as JSON")
    add("--overwrite", action="store_true", help="replace DIR when it has contents")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and, with ``--out``, writes."""
    args = parse_args(argv)
    from pose_tools.report.stats_report import measure, write_report

    report = measure(args.sources, args.meta, args.images, args.input_size, args.det_input_size)
    if args.out is not None:
        write_report(report, args.out, args.sources, args.overwrite)
    print(json.dumps(report.values, ensure_ascii=False, indent=1) if args.json else report.text)
    if args.out is not None and not args.json:
        print(f"\nwrote {args.out}: stats.md, stats.json and plots")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
