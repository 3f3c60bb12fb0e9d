"""Estimates the OKS sigmas of your keypoints, and shows what an AP means with them.

Examples:
    python pose_tools/estimate_sigmas.py data/cars data/cars_again --write --out work_dirs/sigmas
    python pose_tools/estimate_sigmas.py data/cars/val_coco.json --predictions work_dirs/X/test/results.json
    python pose_tools/estimate_sigmas.py fold0/val_coco.json fold1/val_coco.json --predictions r0.json r1.json

Best are two or more annotations of the same images, made without looking at each other: sigma is then the root mean
square distance between two annotators over sqrt(area), as for COCO's own. Images are matched by file name, objects by
their boxes, keypoints by name. Else take results of models for images they were not trained on: that gives an upper
bound. Points too far apart for noise are left out and listed: they are probably label errors.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("sources", metavar="SRC", type=Path, nargs="+", help="COCO files or data sets of the same images, one an "
        "annotator; with --predictions the ground truth, one for all results or one for each")
    add("--predictions", metavar="FILE", type=Path, nargs="+", default=[], help="results.json of keypoint models")
    add("--meta", type=Path, help="the keypoint set's meta.py; by default that of the config named like SRC's folder")
    add("--write", action="store_true", help="replace the sigmas in meta.py")
    add("--floor", type=float, default=0.0, metavar="X", help="no sigma smaller than this (0)")
    add("--min-pairs", type=int, default=30, metavar="N", help="with fewer, the sigma of all keypoints (30)")
    add("--by-side", action="store_true", help="left and right are measured apart, not as one")
    add("--from-truth", action="store_true", help="distance from the true position, not between two annotators, as "
        "COCO's are; 1.41 times smaller")
    add("--seed", type=int, default=0, help="of the bootstrap behind the intervals (0)")
    add("--out", metavar="FOLDER", type=Path, help="write the tables and two pictures there")
    add("--overwrite", action="store_true", help="replace FOLDER when it has contents")
    add("--json", action="store_true", help="print JSON")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Estimates, tells, and writes what was asked for."""
    from pose_tools.console.folder import check_destination
    from pose_tools.dataset.sigmas import report
    from pose_tools.dataset.sigmas.ap import Scorer, ap_curve
    from pose_tools.dataset.sigmas.estimate import SigmaOptions, estimate_sigmas
    from pose_tools.dataset.sigmas.meta import check_meta, write_sigmas
    from pose_tools.report.sigma_plot import save_report

    args = parse_args(argv)
    options = SigmaOptions(args.min_pairs, args.by_side, not args.from_truth, args.floor, args.seed)
    if args.out:
        check_destination(args.out, args.overwrite, [*args.sources, *args.predictions])
    comparison, names, meta = report.read_comparison(args.sources, args.predictions, args.meta)
    if args.write:
        check_meta(meta)
    estimate = estimate_sigmas(comparison, names, options)
    curve = ap_curve(Scorer(comparison), report.sets_to_mark(estimate), 21 if args.out or args.json else 0)
    text, content = report.describe(comparison, estimate, curve), report.as_json(comparison, estimate, curve)
    print(content if args.json else text)
    if args.write:
        old = write_sigmas(meta, estimate)
        print(f"\nwrote the sigmas into {meta}; they were {', '.join(f'{s:g}' for s in old)}", file=sys.stderr)
    if args.out:
        made = save_report(args.out, args.overwrite, text, content, comparison, estimate, curve)
        print(f"\nwrote {args.out}: {', '.join(made)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
