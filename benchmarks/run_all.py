"""Runs every benchmark and rewrites benchmarks/README.md: `make bench`.

Examples:
    python benchmarks/run_all.py --short                        # all of them within ten minutes
    python benchmarks/run_all.py --short --only runtime loader
    python benchmarks/run_all.py                                # the long versions: hours

On the page, what stands between the two comment lines of a benchmark is replaced by the command, the date, the machine
and the new tables; headings and explanations around it are written by hand, there, and stay. A benchmark without such
a place gets a section at the end. Where one fails, its old table stays under a line that says so, and the exit code
is 1. The figures themselves lie in work_dirs/benchmarks/NAME.json. Nothing else should run meanwhile.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose_tools.benchmarking.suite import Benchmark, run_suite
from pose_tools.console import run

SUITE = {
    "training": "Training",
    "loader": "Loading samples",
    "runtime": "Prediction",
    "predict": "Predicting a video",
    "evaluation": "COCO evaluation",
    "startup": "Start-up",
    "labelme_folder": "Converting a large labelme folder",
    "download": "Fetching a large file",
    "label_errors": "Wrong labels found",
}
LIMIT, TOTAL = 210, 590  # seconds, of the short versions


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--short", action="store_true", help="the short versions, within ten minutes in all")
    add("--only", nargs="+", choices=tuple(SUITE), default=list(SUITE), metavar="NAME", help=", ".join(SUITE))
    add("--page", type=Path, default=ROOT / "benchmarks/README.md", help="the page to rewrite")
    add("--results", type=Path, default=ROOT / "work_dirs/benchmarks", help="folder for the JSON files")
    add("--limit", type=float, metavar="SECONDS", help=f"for each (with --short: {LIMIT})")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Runs them; returns 1 where one failed."""
    args = parse_args(argv)
    suite = [Benchmark(ROOT / f"benchmarks/{name}.py", SUITE[name]) for name in SUITE if name in args.only]
    limit = args.limit or (LIMIT if args.short else None)
    outcomes = run_suite(suite, args.page, args.results, args.short, limit, TOTAL if args.short else None)
    failed = [outcome.name for outcome in outcomes if outcome.error]
    took = sum(outcome.seconds for outcome in outcomes)
    said = f"; failed: {', '.join(failed)}" if failed else ""
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} benchmarks in {took:.0f} s: {args.page}{said}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run(main))
