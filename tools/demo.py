#!/usr/bin/env python
"""Run the whole way from labelme files to published models and drawn predictions; `make demo` calls it.

    python tools/demo.py                              # on rendered cars
    python tools/demo.py --data photos_labelme/       # on your own labelme folder

Every step is a command you can type yourself; each is shown before it runs.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose_tools.console import run
from pose_tools.report.walkthrough import Plan, walk


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, help="your labelme folder; default: cars rendered by pose_tools/make_demo.py")
    add("--name", help="of your keypoint set (default: the folder's name)")
    add("--images", type=int, default=1000, help="pictures of cars to render (default: %(default)s)")
    add("--det-size", type=int, nargs=2, default=(256, 192), metavar=("W", "H"), help="input (default: 256 192)")
    add("--pose-size", type=int, nargs=2, metavar=("W", "H"), help="crop (default: by the shape of the boxes)")
    add("--det-steps", type=int, default=1100, help="training steps of the detector (default: %(default)s)")
    add("--pose-steps", type=int, default=950, help="training steps of the keypoint model (default: %(default)s)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Runs the demo."""
    args = vars(parse_args(argv))
    if args["data"] is not None:
        args["data"] = args["data"].absolute()
    walk(ROOT, Plan(**args))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
